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

/* Unicode 15's DerivedCoreProperties.txt and UnicodeData.txt. */
START_TEST(characters_that_show_nothing_are_known)
{
    static const uint32_t anywhere[] = {0xad,   0x200b, 0x200e,  0x200f,  0x202a, 0x202e,
                                        0x2028, 0x2060, 0x2066,  0x2069,  0xfeff, 0x180e,
                                        0x3164, 0x115f, 0xe0001, 0xe0041, 0x61c,  0x34f};
    static const uint32_t at_end[] = {0xa0, 0x1680, 0x2003, 0x200c, 0x200d, 0x202f, 0x3000};
    static const uint32_t visible[] = {'a', ' ', 0xe9, 0x3042, 0xfe0f, 0x1f600, 0xe0100, 0xac00};
    for (size_t i = 0; i < sizeof anywhere / sizeof anywhere[0]; i++)
        ck_assert_msg(utf8_is_invisible(anywhere[i]), "U+%04X", anywhere[i]);
    for (size_t i = 0; i < sizeof at_end / sizeof at_end[0]; i++)
        ck_assert_msg(utf8_is_invisible_at_end(at_end[i]) && !utf8_is_invisible(at_end[i]),
                      "U+%04X", at_end[i]);
    for (size_t i = 0; i < sizeof visible / sizeof visible[0]; i++)
        ck_assert_msg(!utf8_is_invisible_at_end(visible[i]), "U+%04X", visible[i]);
}
END_TEST

START_TEST(sequences_have_their_code_point)
{
    static const struct {
        const char *text;
        uint32_t point;
    } rows[] = {{"a", 'a'},
                {"\xc3\xa9", 0xe9},
                {"\xe2\x82\xac", 0x20ac},
                {"\xf0\x9f\x90\x88", 0x1f408},
                {"\xf4\x8f\xbf\xbf", 0x10ffff}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const unsigned char *s = (const unsigned char *)rows[i].text;
        ck_assert_uint_eq(utf8_code_point(s, utf8_length(s)), rows[i].point);
    }
}
END_TEST

START_TEST(a_byte_order_mark_is_three_bytes)
{
    ck_assert_uint_eq(utf8_mark_length("\xef\xbb\xbf", 3), 3);
    ck_assert_uint_eq(utf8_mark_length("\xef\xbb\xbf", 2), 0);
    ck_assert_uint_eq(utf8_mark_length("\xef\xbb\xbe", 3), 0);
    ck_assert_uint_eq(utf8_mark_length("\xef\xbb\xbfx", 4), 3);
}
END_TEST

TEST_MAIN("base/utf8", 10, a_byte_order_mark_is_three_bytes, valid_sequences_have_their_length,
          everything_else_has_none, control_characters_are_known,
          characters_that_show_nothing_are_known, sequences_have_their_code_point)
