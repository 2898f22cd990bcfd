#include "base/utf8.h"

#include <string.h>

#include "tests/suite.h"

static size_t length(const char *s)
{
    return utf8_length((const unsigned char *)s);
}

START_TEST(valid_sequences_have_their_length)
{
    ck_assert_uint_eq(length("a"), 1);
    ck_assert_uint_eq(length("\xc3\xa9"), 2);
    ck_assert_uint_eq(length("\xe2\x82\xac"), 3);
    ck_assert_uint_eq(length("\xf0\x9f\x90\x88"), 4);
    ck_assert_uint_eq(length("\xf4\x8f\xbf\xbf"), 4);
}
END_TEST

START_TEST(everything_else_has_none)
{
    static const char *const bad[] = {
        "\x80",         "\xc0\x80",         "\xc1\xbf",         "\xc3",     "\xc3(",
        "\xe0\x9f\xbf", "\xed\xa0\x80",     "\xe2\x82",         "\xf0\x9f", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_uint_eq(length(bad[i]), 0);
}
END_TEST

START_TEST(control_characters_are_known)
{
    static const char *const controls[] = {"\n",       "\x1f",     "\x7f",
                                           "\xc2\x80", "\xc2\x9b", "\xc2\x9f"};
    static const char *const others[] = {" ", "~", "\xc2\xa0", "\xc2(", "\xc3\x80", "\x9b"};
    for (size_t i = 0; i < sizeof controls / sizeof controls[0]; i++)
        ck_assert(utf8_is_control((const unsigned char *)controls[i]));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        ck_assert(!utf8_is_control((const unsigned char *)others[i]));
}
END_TEST

TEST_MAIN("base/utf8", 10, valid_sequences_have_their_length, everything_else_has_none,
          control_characters_are_known)
