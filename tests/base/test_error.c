#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/suite.h"

START_TEST(every_error_has_text_code_and_status)
{
    for (int i = 0; i < ERR_COUNT; i++) {
        int code = -1 - i;
        ck_assert(strlen(error_text(code)) > 0);
        ck_assert(strlen(error_json_code(code)) > 0);
        ck_assert_int_ge(error_status(code), 400);
        ck_assert_int_lt(error_status(code), 600);
    }
}
END_TEST

START_TEST(messages_hold_no_control_characters)
{
    struct error err;
    ck_assert_int_eq(error_set(&err, ERR_PARAMETER, "bad %s", "a\r\nb\x7f"), ERR_PARAMETER);
    ck_assert_str_eq(err.message, "bad a??b?");
}
END_TEST

START_TEST(a_prefix_goes_before_the_message)
{
    struct error err;
    error_set(&err, ERR_IO, "no such file");
    ck_assert_int_eq(error_prefix(&err, ERR_OK, "ignored"), ERR_OK);
    ck_assert_int_eq(error_prefix(&err, ERR_IO, "model %s", "x"), ERR_IO);
    ck_assert_str_eq(err.message, "model x: no such file");
}
END_TEST

/* The reason stays whole, and of a long path its end. */
START_TEST(a_long_prefix_loses_its_beginning)
{
    struct error err;
    char path[300], reason[250], *wanted;
    memset(path, 'a', sizeof path);
    memcpy(path + sizeof path - 10, "/b/c.jpg", sizeof "/b/c.jpg");
    memcpy(path + 97, "\303\244", 2); /* cut within */
    memset(reason, 'r', sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    error_set(&err, ERR_IO, "%s", reason);
    error_prefix(&err, ERR_IO, "%s", path);
    ck_assert_int_gt(asprintf(&wanted, "...%s: %s", path + strlen(path) - 199, reason), 0);
    ck_assert_str_eq(err.message, wanted);
    free(wanted);
}
END_TEST

START_TEST(a_missing_error_is_allowed)
{
    ck_assert_int_eq(error_set(NULL, ERR_IO, "ignored"), ERR_IO);
    ck_assert_int_eq(error_prefix(NULL, ERR_IO, "ignored"), ERR_IO);
}
END_TEST

TEST_MAIN("base/error", 10, every_error_has_text_code_and_status,
          messages_hold_no_control_characters, a_prefix_goes_before_the_message,
          a_long_prefix_loses_its_beginning, a_missing_error_is_allowed)
