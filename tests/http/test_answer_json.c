/* What is written must be what jansson writes, byte for byte. */
#include "http/answer_json.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/suite.h"

static struct bodies bodies;
static struct answer answer;

static void begin(void)
{
    answer_free(&answer);
    answer_begin(&answer, &bodies);
}

/* The answer is what jansson makes of a value, which goes. */
static void check(json_t *value)
{
    char *wanted = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(9) | JSON_ENCODE_ANY);
    ck_assert_ptr_nonnull(wanted);
    answer_put(&answer, "", 1);
    ck_assert_str_eq(answer.bytes, wanted);
    free(wanted);
    json_decref(value);
}

START_TEST(numbers_are_as_jansson_writes_them)
{
    static const double some[] = {0,     -0.0,    1,      -1,     0.5,       0.1,
                                  1e9,   1e10,    -1e-5,  1e-4,   123456789, 1234567890,
                                  1e100, -1e-100, 1e300,  5e-324, 0.93125,   999999999.5,
                                  1e15,  1.5e-7,  2.5e20, 1e-10,  1e10 + 1};
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        begin();
        answer_json_real(&answer, some[i]);
        check(json_real(some[i]));
    }
    uint32_t state = 12345;
    for (int i = 0; i < 100000; i++) {
        float value;
        state = state * 1664525 + 1013904223;
        uint32_t bits = (state & 0x807fffff) | ((state >> 3) % 0xff << 23);
        memcpy(&value, &bits, sizeof value);
        begin();
        answer_json_real(&answer, (double)value);
        check(json_real((double)value));
    }
}
END_TEST

START_TEST(strings_are_as_jansson_writes_them)
{
    static const char *const some[] = {"",
                                       "cat",
                                       "a \"b\" \\ / c",
                                       "\b\f\n\r\t\x01\x1f\x7f",
                                       "ü\u20ac\U0001F600",
                                       "\xed\x9f\xbf \xf4\x8f\xbf\xbf",
                                       "\"",
                                       "x\n"};
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        begin();
        answer_json_text(&answer, some[i]);
        check(json_string(some[i]));
    }
    begin();
    answer_json_string(&answer, "a\0b", 3);
    check(json_stringn("a\0b", 3));
}
END_TEST

START_TEST(what_is_no_utf_8_becomes_question_marks)
{
    static const char *const some[][2] = {
        {"\xff", "\"?\""},
        {"\xc3", "\"?\""},
        {"\xc3\xbc\xc3", "\"???\""},
        {"\xed\xa0\x80 x", "\"??? x\""},
        {"\xc0\x80\"\n", "\"??\\\"\\n\""},
        {"\xf4\x90\x80\x80", "\"????\""},
    };
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        begin();
        answer_json_text(&answer, some[i][0]);
        answer_put(&answer, "", 1);
        ck_assert_str_eq(answer.bytes, some[i][1]);
    }
    begin();
    answer_json_string(&answer, "\xc3\xbc", 1); /* the rest of it is not ours */
    answer_put(&answer, "", 1);
    ck_assert_str_eq(answer.bytes, "\"?\"");
}
END_TEST

START_TEST(arrays_and_errors_are_as_jansson_writes_them)
{
    static const float values[] = {0, 1.5F, -3e-9F};
    struct error error;
    begin();
    answer_json_reals(&answer, values, 3);
    check(json_pack("[f, f, f]", (double)values[0], (double)values[1], (double)values[2]));
    begin();
    answer_json_reals(&answer, values, 0);
    check(json_array());
    error_set(&error, ERR_NOT_JPEG, "a \"%s\"", "b");
    begin();
    answer_json_error(&answer, &error);
    check(json_pack("{s:s, s:s, s:i}", "code", "not_jpeg", "message", "a \"b\"", "status", 415));
    answer_free(&answer);
}
END_TEST

TEST_MAIN("http/answer_json", 60, numbers_are_as_jansson_writes_them,
          strings_are_as_jansson_writes_them, what_is_no_utf_8_becomes_question_marks,
          arrays_and_errors_are_as_jansson_writes_them)
