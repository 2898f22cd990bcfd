#include "base/names.h"

#include "tests/suite.h"

#define COLOR_NAMES(NAME) NAME(COLOR_RED, "red") NAME(COLOR_BLUE, "blue")
enum color { COLOR_NAMES(NAME_VALUE) COLOR_COUNT };
static const char *const color_names[] = {COLOR_NAMES(NAME_TEXT) NULL};

START_TEST(names_belong_to_their_values)
{
    ck_assert_int_eq(COLOR_COUNT, 2);
    ck_assert_str_eq(color_names[COLOR_BLUE], "blue");
    ck_assert_ptr_null(color_names[COLOR_COUNT]);
    for (int i = 0; i < COLOR_COUNT; i++)
        ck_assert_int_eq(names_find(color_names, color_names[i]), i);
}
END_TEST

START_TEST(only_whole_names_are_found)
{
    static const char *const none[] = {"", "r", "re", "redd", "Red", "red ", "green"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        ck_assert_int_eq(names_find(color_names, none[i]), -1);
}
END_TEST

START_TEST(a_list_has_whole_items_in_either_case)
{
    static const char *const with[] = {"close",      "CLOSE",   "te, Close",
                                       "close\t ,x", " ,close", "a,close,b"};
    static const char *const without[] = {"",          ",",       "clos",   "closed",
                                          "not close", "close x", "x;close"};
    for (size_t i = 0; i < sizeof with / sizeof with[0]; i++)
        ck_assert_msg(names_list_has(with[i], "close"), "%s", with[i]);
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++)
        ck_assert_msg(!names_list_has(without[i], "close"), "%s", without[i]);
}
END_TEST

TEST_MAIN("base/names", 10, names_belong_to_their_values, only_whole_names_are_found,
          a_list_has_whole_items_in_either_case)
