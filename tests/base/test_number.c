#include "base/number.h"

#include <string.h>

#include "tests/suite.h"

static int64_t parsed(const char *text)
{
    return number_parse(text, strlen(text));
}

START_TEST(numbers_are_digits)
{
    ck_assert_int_eq(parsed("0"), 0);
    ck_assert_int_eq(parsed("9"), 9);
    ck_assert_int_eq(parsed("0012345678901234567890123"), INT64_MAX);
    ck_assert_int_eq(parsed("000000000000000000000000012"), 12);
    ck_assert_int_eq(number_parse("123", 2), 12);
}
END_TEST

START_TEST(anything_else_is_no_number)
{
    static const char *const none[] = {"",
                                       "-1",
                                       "+1",
                                       " 1",
                                       "1 ",
                                       "1\n",
                                       "1.",
                                       "1e3",
                                       "0x1",
                                       "a",
                                       "1,2",
                                       "--",
                                       "99999999999999999999x"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        ck_assert_msg(parsed(none[i]) == -1, "%s", none[i]);
    ck_assert_int_eq(number_parse("1\0002", 3), -1);
    ck_assert_int_eq(number_parse("1", 0), -1);
}
END_TEST

START_TEST(large_numbers_do_not_wrap)
{
    ck_assert_int_eq(parsed("9223372036854775806"), INT64_MAX - 1);
    ck_assert_int_eq(parsed("9223372036854775807"), INT64_MAX);
    ck_assert_int_eq(parsed("9223372036854775808"), INT64_MAX);
    ck_assert_int_eq(parsed("18446744073709551617"), INT64_MAX);
    ck_assert_int_eq(parsed("92233720368547758070"), INT64_MAX);
}
END_TEST

START_TEST(hexadecimal_goes_there_and_back)
{
    unsigned char all[256], back[256];
    char text[2 * 256 + 1];
    for (int i = 0; i < 256; i++)
        all[i] = (unsigned char)i;
    hex_print(text, all, 256);
    ck_assert_uint_eq(strlen(text), 512);
    ck_assert_mem_eq(text + 2 * 0x9e, "9e9fa0", 6);
    ck_assert(hex_parse(text, back, 256));
    ck_assert_mem_eq(back, all, 256);
    ck_assert(hex_parse("AbfFx", back, 2));
    ck_assert(back[0] == 0xab && back[1] == 0xff);
    hex_print(text, all, 0);
    ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(other_digits_are_refused)
{
    static const char *const none[] = {"", "0", "0g", "g0", " 0", "0x", "-1", "@0", "`0", "0G"};
    unsigned char byte;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        ck_assert_msg(!hex_parse(none[i], &byte, 1), "%s", none[i]);
}
END_TEST

TEST_MAIN("base/number", 10, numbers_are_digits, anything_else_is_no_number,
          large_numbers_do_not_wrap, hexadecimal_goes_there_and_back, other_digits_are_refused)
