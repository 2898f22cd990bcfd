#include "conf/screen.h"

#include <string.h>

#include "tests/suite.h"

static void becomes(const char *text, const char *wanted)
{
    char *out;
    struct error err = {0};
    ck_assert_msg(conf_screen("f", text, strlen(text), &out, &err) == ERR_OK, "%s: %s", text,
                  err.message);
    ck_assert_str_eq(out, wanted);
    free(out);
}

static void refused(const char *text, size_t length, const char *message)
{
    char *out;
    struct error err = {0};
    ck_assert_int_eq(conf_screen("f", text, length, &out, &err), ERR_CONFIG);
    ck_assert_ptr_null(out);
    ck_assert_str_eq(err.message, message);
}

START_TEST(integers_get_their_l)
{
    becomes("a=1;", "a=1L;");
    becomes("a=4294967297", "a=4294967297L");
    becomes("a=0x1FfL;b=0x10;", "a=0x1FfL;b=0x10L;");
    becomes("a=-5L c=[1,+2]", "a=-5L c=[1L,+2L]");
    becomes("a=4294967297e=3", "a=4294967297Le=3L");
    becomes("1,1,1,1,1", "1L,1L,1L,1L,1L");
}
END_TEST

START_TEST(the_rest_stays)
{
    becomes("", "");
    becomes("a1_2-3 : x4;", "a1_2-3 : x4;");
    becomes("a=1.5;b=.25;c=1e3;d=1E-3;e=2.;", "a=1.5;b=.25;c=1e3;d=1E-3;e=2.;");
    becomes("a=\"1 \\\" 2 @include\";", "a=\"1 \\\" 2 @include\";");
    becomes("# 1 @ \" /*\n// 2 \"\n/* 3 \" @\n** */", "# 1 @ \" /*\n// 2 \"\n/* 3 \" @\n** */");
    becomes("# no newline 1", "# no newline 1\n"); /* libconfig needs it */
    becomes("1 1#", "1L 1L#\n");
    becomes("a=1;//", "a=1L;//\n");
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

TEST_MAIN("conf/screen", 10, integers_get_their_l, the_rest_stays, dangerous_text_is_refused)
