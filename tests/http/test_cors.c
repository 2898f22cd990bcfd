#include "http/cors.h"

#include <string.h>

#include "tests/suite.h"

START_TEST(lists_of_header_names_are_known)
{
    ck_assert(cors_is_header_list("authorization"));
    ck_assert(cors_is_header_list("authorization,content-type,x-api-key"));
    ck_assert(cors_is_header_list(" A ,\tb ,c "));
    ck_assert(cors_is_header_list("*"));
    ck_assert(cors_is_header_list("!#$%&'*+-.^_`|~azAZ09"));
}
END_TEST

START_TEST(what_is_no_list_of_names_is_refused)
{
    static const char *const texts[] = {
        "",       ",",      "a,",   ",a",       "a,,b",    " ",     "a, ,b", "a b",
        "a\r\nb", "a\nX:y", "a:b",  "a=b",      "\"a\"",   "a;q=1", "(a)",   "a@b",
        "[a]",    "a\\",    "\x7f", "\xc3\xa4", "a,\x01b", "a/b,c", "{a}",   "<a>",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        ck_assert_msg(!cors_is_header_list(texts[i]), "\"%s\"", texts[i]);
}
END_TEST

START_TEST(a_list_has_a_greatest_length)
{
    char text[CORS_HEADERS_MAX + 2];
    memset(text, 'x', sizeof text);
    text[CORS_HEADERS_MAX] = '\0';
    ck_assert(cors_is_header_list(text));
    text[CORS_HEADERS_MAX] = 'x';
    text[CORS_HEADERS_MAX + 1] = '\0';
    ck_assert(!cors_is_header_list(text));
}
END_TEST

TEST_MAIN("http/cors", 10, lists_of_header_names_are_known, what_is_no_list_of_names_is_refused,
          a_list_has_a_greatest_length)
