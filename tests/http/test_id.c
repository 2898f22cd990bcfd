#include "http/id.h"

#include <string.h>

#include "tests/suite.h"

START_TEST(generated_ids_are_sane_and_differ)
{
    char one[ID_SIZE], other[ID_SIZE];
    id_generate(one);
    id_generate(other);
    ck_assert_uint_eq(strlen(one), 32);
    ck_assert(id_is_sane(one));
    ck_assert_str_ne(one, other);
}
END_TEST

START_TEST(only_safe_ids_are_sane)
{
    char longest[ID_MAX + 2];
    memset(longest, 'x', sizeof longest);
    longest[ID_MAX] = '\0';
    ck_assert(id_is_sane("a") && id_is_sane("A-1_b.c") && id_is_sane(longest));
    longest[ID_MAX] = 'x';
    longest[ID_MAX + 1] = '\0';
    ck_assert(!id_is_sane(longest));
    ck_assert(!id_is_sane("") && !id_is_sane("a b") && !id_is_sane("a\"b") && !id_is_sane("a\nb"));
    ck_assert(!id_is_sane("\xc3\xa4") && !id_is_sane("a/b") && !id_is_sane("<a>"));
}
END_TEST

START_TEST(traceparents_have_one_form)
{
    ck_assert(id_is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    ck_assert(!id_is_traceparent("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    ck_assert(!id_is_traceparent("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    ck_assert(!id_is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"));
    ck_assert(!id_is_traceparent("00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01"));
    ck_assert(!id_is_traceparent(""));
}
END_TEST

TEST_MAIN("http/id", 10, generated_ids_are_sane_and_differ, only_safe_ids_are_sane,
          traceparents_have_one_form)
