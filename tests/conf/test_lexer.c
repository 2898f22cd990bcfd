#include "conf/lexer.h"

#include <string.h>

#include "tests/suite.h"

static void becomes(const char *text, const char *wanted)
{
    char *copy = strdup(text);
    struct error err = {0};
    ck_assert_msg(conf_check_tokens("f", copy, strlen(copy), &err) == ERR_OK, "%s: %s", text,
                  err.message);
    ck_assert_str_eq(copy, wanted);
    free(copy);
}

static void stays(const char *text)
{
    becomes(text, text);
}

static void refused(const char *text, size_t length, const char *message)
{
    char *copy = malloc(length + 1);
    struct error err = {0};
    memcpy(copy, text, length + 1);
    ck_assert_int_eq(conf_check_tokens("f", copy, length, &err), ERR_CONFIG);
    ck_assert_str_eq(err.message, message);
    free(copy);
}

START_TEST(integers_of_more_than_32_bits_are_limited)
{
    becomes("a=4294967297", "a=2147483647");
    becomes("a=2147483648;b=-2147483648", "a=2147483647;b=-2147483647");
    becomes("a=18446744073709551617;", "a=2147483647          ;");
    becomes("a=0x80000000;b=0XfFFFFffFf;", "a=2147483647;b=2147483647 ;");
    becomes("a=0x10000000000000001;", "a=2147483647         ;");
    becomes("a=4294967297e=3", "a=2147483647e=3");
    becomes("a=[4294967297,+4294967297]", "a=[2147483647,+2147483647]");
    becomes("a=1b=4294967297", "a=1b=2147483647");
    becomes("/**/4294967297/**/", "/**/2147483647/**/");
}
END_TEST

START_TEST(the_rest_stays)
{
    stays("");
    stays("a=1;b=2147483647;c=0x7fffffff;d=00000000000000000001;");
    stays("a=0x1FfL;b=4294967297L c=-4294967297L");
    stays("a12345678901_2-3 : x12345678901; *12345678901");
    stays("a=12345678901.5;b=.25;c=12345678901e3;d=1E-3;e=12345678901.;");
    stays("a=\"12345678901 \\\" 12345678901 @include\";");
    stays("# 12345678901 @ \" /*\n// 12345678901 \"\n/* 12345678901 \" @\n** */");
    stays("# no newline 12345678901");
    stays("1 1#");
    stays("a=1;//");
    stays("0x");
    stays(".");
}
END_TEST

#define REFUSED(literal, message) refused(literal, sizeof literal - 1, message)

START_TEST(dangerous_text_is_refused)
{
    REFUSED("a=1;\n@include \"x\"", "f:2: @include is not allowed; put everything here");
    REFUSED("a=\"x\n\"; @", "f:2: @include is not allowed; put everything here");
    REFUSED("a=1;\nb=2;\0c=3;", "f:2: there is a NUL byte; this is no text file");
    REFUSED("\n\na=\"x\ny", "f:3: the string that starts here has no end");
    REFUSED("a=\"x\\", "f:1: the string that starts here has no end");
    REFUSED("a=\"x\\\"", "f:1: the string that starts here has no end");
    REFUSED("\n/* x *", "f:2: the comment that starts here has no end");
    REFUSED("/*/", "f:1: the comment that starts here has no end");
}
END_TEST

TEST_MAIN("conf/lexer", 10, integers_of_more_than_32_bits_are_limited, the_rest_stays,
          dangerous_text_is_refused)
