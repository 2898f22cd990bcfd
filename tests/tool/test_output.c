#include "tool/output.h"

#include <math.h>
#include <string.h>

#include "tests/suite.h"

START_TEST(numbers_are_grouped)
{
    static const struct {
        int64_t number;
        const char *text;
    } cases[] = {
        {0, "0"},
        {999, "999"},
        {1000, "1,000"},
        {25028904, "25,028,904"},
        {-1000, "-1,000"},
        {-999, "-999"},
        {INT64_MIN, "-9,223,372,036,854,775,808"},
    };
    char text[32];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        output_grouped(cases[i].number, text);
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

static char *plain(const char *text)
{
    char *out;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    ck_assert_ptr_nonnull(f);
    tool_plain(f, text);
    fclose(f);
    return out;
}

START_TEST(a_terminal_gets_no_control_characters)
{
    static const char *const cases[][2] = {
        {"ros\xc3\xa9", "ros\xc3\xa9"},
        {"a\x1b[31m\n", "a?[31m?"},
        {"\xff\xc3", "??"},
        {"\xc2\x9b", "?"},
        {"\xc2\xa0", "\xc2\xa0"},
        {"\x7f", "?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *out = plain(cases[i][0]);
        ck_assert_str_eq(out, cases[i][1]);
        free(out);
    }
}
END_TEST

static void csv_is(const char *text, const char *wanted)
{
    char *out;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    ck_assert_ptr_nonnull(f);
    output_csv_field(f, text);
    fclose(f);
    ck_assert_str_eq(out, wanted);
    free(out);
}

START_TEST(csv_has_nothing_that_a_terminal_obeys)
{
    csv_is("ros\xc3\xa9\xc2\xa0 \xf0\x9f\x90\xb8", "ros\xc3\xa9\xc2\xa0 \xf0\x9f\x90\xb8");
    csv_is("a\x1b[31m\r\n\t\x7f", "a\\u001b[31m\\u000d\\u000a\\u0009\\u007f");
    csv_is("\xc2\x9b"
           "31m",
           "\\u009b31m");
    csv_is("\xff\x9b\xc3(\xed\xa0\x80", "\\xff\\x9b\\xc3(\\xed\\xa0\\x80");
    csv_is("a, \"b\"\x07", "\"a, \"\"b\"\"\\u0007\"");
    csv_is("\\x1b", "\\\\x1b");
    csv_is("", "");
}
END_TEST

START_TEST(floats_are_short_and_exact)
{
    static const float numbers[] = {0.4914f, 1e-20f, 3.40282347e38f, 16777217.0f, 1 / 3.0f, -0.1f};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        ck_assert(strtof(output_float(numbers[i]).text, NULL) == numbers[i]);
    ck_assert_str_eq(output_float(0.4914f).text, "0.4914");
}
END_TEST

START_TEST(json_is_valid_whatever_comes)
{
    json_t *text = output_json_text("a\xff\xc3(\n");
    ck_assert_str_eq(json_string_value(text), "a\xef\xbf\xbd\xef\xbf\xbd(\n");
    json_t *nan = output_json_float(NAN), *infinite = output_json_float(-INFINITY);
    ck_assert(json_is_null(nan) && json_is_null(infinite));
    json_t *number = output_json_float(0.1f);
    ck_assert(json_real_value(number) == 0.1);
    json_decref(text);
    json_decref(nan);
    json_decref(infinite);
    json_decref(number);
}
END_TEST

TEST_MAIN("tool/output", 10, numbers_are_grouped, a_terminal_gets_no_control_characters,
          csv_has_nothing_that_a_terminal_obeys, floats_are_short_and_exact,
          json_is_valid_whatever_comes)
