#include "base/id.h"

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
    ck_assert(id_is_traceparent("00-00000000000000000000000000000001-1000000000000000-00"));
    ck_assert(!id_is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-"));
    ck_assert(!id_is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-00"));
    ck_assert(!id_is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-010"));
    ck_assert(!id_is_traceparent("00-0af7651916cd43dd8448eb211c80319c-B7AD6B7169203331-01"));
    ck_assert(!id_is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0A"));
    ck_assert(!id_is_traceparent(" 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    ck_assert(!id_is_traceparent("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    ck_assert(!id_is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"));
    ck_assert(!id_is_traceparent("00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01"));
    ck_assert(!id_is_traceparent(""));
}
END_TEST

START_TEST(zeros_and_no_version_trace_nothing)
{
    ck_assert(!id_is_traceparent("00-00000000000000000000000000000000-0000000000000000-00"));
    ck_assert(!id_is_traceparent("00-00000000000000000000000000000000-b7ad6b7169203331-01"));
    ck_assert(!id_is_traceparent("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"));
    ck_assert(!id_is_traceparent("cc-00000000000000000000000000000000-b7ad6b7169203331-01"));
    ck_assert(!id_is_traceparent("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
}
END_TEST

START_TEST(traceparents_of_later_versions_may_have_more)
{
    ck_assert(id_is_traceparent("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    ck_assert(id_is_traceparent("fe-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-"));
    ck_assert(id_is_traceparent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what.is"));
    ck_assert(!id_is_traceparent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what"));
    ck_assert(!id_is_traceparent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"));
    ck_assert(!id_is_traceparent("fF-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
}
END_TEST

TEST_MAIN("base/id", 10, generated_ids_are_sane_and_differ, only_safe_ids_are_sane,
          traceparents_have_one_form, zeros_and_no_version_trace_nothing,
          traceparents_of_later_versions_may_have_more)
