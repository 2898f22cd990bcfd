#include "http/multipart.h"

#include <stdio.h>
#include <string.h>

#include "tests/suite.h"

enum { MAX = 4 };

static struct multipart_part parts[MAX];
static size_t count;
static struct error err;

static int parse(const char *body)
{
    return multipart_parse(body, strlen(body), "b", parts, MAX, &count, &err);
}

static void check_slice(struct slice s, const char *expected)
{
    ck_assert_uint_eq(s.length, strlen(expected));
    ck_assert_int_eq(memcmp(s.bytes, expected, s.length), 0);
}

#define FIELD      "Content-Disposition: form-data; name=\"n\"\r\n"
#define FILE_FIELD "Content-Disposition: form-data; name=\"n\"; filename=\"f.jpg\"\r\n"

START_TEST(parts_are_slices_in_order)
{
    ck_assert_int_eq(parse("--b\r\n" FILE_FIELD "Content-Type: image/jpeg\r\n\r\none\r\n"
                           "--b\r\n" FIELD "\r\ntwo\r\n\r\n--b--\r\n"),
                     ERR_OK);
    ck_assert_uint_eq(count, 2);
    check_slice(parts[0].data, "one");
    check_slice(parts[0].file_name, "f.jpg");
    ck_assert(parts[0].is_file);
    check_slice(parts[1].data, "two\r\n");
    check_slice(parts[1].name, "n");
    ck_assert(!parts[1].is_file && !parts[1].file_name.bytes);
}
END_TEST

START_TEST(preamble_and_epilogue_are_skipped)
{
    ck_assert_int_eq(parse("hello\r\n--b\r\n" FIELD "\r\nx\r\n--b--\r\nbye\r\n--b\r\n"), ERR_OK);
    ck_assert_uint_eq(count, 1);
    check_slice(parts[0].data, "x");
}
END_TEST

START_TEST(an_empty_part_is_a_part)
{
    ck_assert_int_eq(parse("--b\r\n" FIELD "\r\n\r\n--b--"), ERR_OK);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(parts[0].data.length, 0);
}
END_TEST

START_TEST(the_boundary_inside_data_is_data)
{
    ck_assert_int_eq(parse("--b\r\n" FIELD "\r\nx--b\r\n--bc\r\n --b\r\n--b--\r\n"), ERR_OK);
    ck_assert_uint_eq(count, 1);
    check_slice(parts[0].data, "x--b\r\n--bc\r\n --b");
}
END_TEST

START_TEST(blanks_may_follow_the_boundary)
{
    ck_assert_int_eq(parse("--b \t\r\n" FIELD "\r\nx\r\n--b-- \r\n"), ERR_OK);
    check_slice(parts[0].data, "x");
}
END_TEST

START_TEST(data_may_hold_nul)
{
    const char body[] = "--b\r\n" FILE_FIELD "\r\n\0\r\n\0\r\n--b--\r\n";
    ck_assert_int_eq(multipart_parse(body, sizeof body - 1, "b", parts, MAX, &count, &err), ERR_OK);
    ck_assert_uint_eq(parts[0].data.length, 4);
}
END_TEST

START_TEST(an_image_type_makes_a_file)
{
    ck_assert_int_eq(parse("--b\r\n" FIELD "content-type: IMAGE/x\r\n\r\nx\r\n--b--"), ERR_OK);
    ck_assert(parts[0].is_file);
    ck_assert_int_eq(parse("--b\r\nContent-Disposition: form-data; name=n; filename*=UTF-8''x\r\n"
                           "\r\nx\r\n--b--"),
                     ERR_OK);
    ck_assert(parts[0].is_file);
}
END_TEST

START_TEST(file_names_are_kept_as_sent)
{
    ck_assert_int_eq(parse("--b\r\nContent-Disposition: form-data; name=\"a\\\"b\"; "
                           "filename=\"../../etc/passwd\"\r\n\r\nx\r\n--b--"),
                     ERR_OK);
    check_slice(parts[0].name, "a\\\"b");
    check_slice(parts[0].file_name, "../../etc/passwd");
}
END_TEST

START_TEST(malformed_bodies_are_refused)
{
    static const char *const bodies[] = {
        "",
        "--b",
        "--b--extra",
        "--b\r\n",
        "--b\r\n" FIELD "\r\nx",
        "--b\r\n" FIELD "\r\nx\r\n--b",
        "--b\r\n" FIELD "\r\nx\r\n--b-",
        "--b\r\n" FIELD "x\r\n--b--\r\n",
        "--b\r\n--b--\r\n",
        "--b\r\n\r\nx\r\n--b--\r\n",
        "--b\r\nContent-Type: image/jpeg\r\n\r\nx\r\n--b--\r\n",
        "--b\r\nno colon\r\n\r\nx\r\n--b--\r\n",
        "--b\r\n: x\r\n\r\nx\r\n--b--\r\n",
        "--b\r\n" FIELD FIELD "\r\nx\r\n--b--\r\n",
        "--b\r\nContent-Disposition: attachment; name=n\r\n\r\nx\r\n--b--\r\n",
        "--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
        "--b\r\nContent-Disposition: form-data; name=\"n\r\n\r\nx\r\n--b--\r\n",
        "--b\r\nContent-Disposition: form-data; name=n; name=m\r\n\r\nx\r\n--b--\r\n",
        "--b\r\nContent-Disposition: form-data; name=n; =m\r\n\r\nx\r\n--b--\r\n",
        "--b\r\nContent-Disposition: form-data; name=n; filename\r\n\r\nx\r\n--b--\r\n",
        "--b\r\n" FIELD "Content-Type: multipart/mixed; boundary=c\r\n\r\nx\r\n--b--\r\n",
        "--b\r\n" FIELD "Content-Transfer-Encoding: base64\r\n\r\nx\r\n--b--\r\n",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        ck_assert_msg(parse(bodies[i]) == ERR_MULTIPART, "accepted: %s", bodies[i]);
}
END_TEST

START_TEST(too_many_parts_are_refused)
{
    char body[1024] = "";
    for (int i = 0; i <= MAX; i++) {
        strcat(body, "--b\r\n" FIELD "\r\nx\r\n");
        char closed[1100];
        snprintf(closed, sizeof closed, "%s--b--", body);
        ck_assert_int_eq(parse(closed), i < MAX ? ERR_OK : ERR_TOO_MANY_PARTS);
    }
}
END_TEST

START_TEST(a_long_header_is_refused)
{
    static char body[70000];
    for (int length = 8000; length <= 66000; length += 58000 / 2) {
        int n =
            snprintf(body, sizeof body, "--b\r\n" FIELD "X: %0*d\r\n\r\nx\r\n--b--\r\n", length, 0);
        ck_assert_int_lt(n, (int)sizeof body);
        ck_assert_int_eq(parse(body), length < 8192 - 64 ? ERR_OK : ERR_MULTIPART);
    }
}
END_TEST

START_TEST(boundaries_are_read_from_the_content_type)
{
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
    static const char *const good[][2] = {
        {"multipart/form-data; boundary=x", "x"},
        {"Multipart/Form-Data;BOUNDARY=\"a b\"", "a b"},
        {"multipart/form-data; charset=utf-8; boundary=----WebKit7MA4", "----WebKit7MA4"},
        {"multipart/form-data; boundary=x;", "x"},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_int_eq(multipart_boundary(good[i][0], boundary, &err), ERR_OK);
        ck_assert_str_eq(boundary, good[i][1]);
    }
}
END_TEST

START_TEST(bad_boundaries_are_refused)
{
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
    static const char *const bad[] = {
        "multipart/form-data",
        "multipart/form-data; boundary",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=\"x",
        "multipart/form-data; boundary=\"x \"",
        "multipart/form-data; boundary=\"x\x01\"",
        "multipart/form-data; boundary=x; boundary=y",
        "multipart/form-data, boundary=x",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(multipart_boundary(bad[i], boundary, &err) == ERR_MULTIPART, "accepted: %s",
                      bad[i]);
    char too_long[128];
    snprintf(too_long, sizeof too_long, "multipart/form-data; boundary=%0*d",
             MULTIPART_BOUNDARY_MAX, 0);
    ck_assert_int_eq(multipart_boundary(too_long, boundary, &err), ERR_OK);
    strcat(too_long, "0");
    ck_assert_int_eq(multipart_boundary(too_long, boundary, &err), ERR_MULTIPART);
    ck_assert_int_eq(multipart_boundary("multipart/mixed; boundary=x", boundary, &err),
                     ERR_MEDIA_TYPE);
}
END_TEST

START_TEST(only_multipart_types_are_multipart)
{
    ck_assert(multipart_is_multipart("MULTIPART/mixed"));
    ck_assert(multipart_is_multipart(" multipart/form-data; boundary=x"));
    ck_assert(!multipart_is_multipart("image/jpeg"));
    ck_assert(!multipart_is_multipart("multipart"));
    ck_assert(!multipart_is_multipart(""));
}
END_TEST

TEST_MAIN("http/multipart", 10, parts_are_slices_in_order, preamble_and_epilogue_are_skipped,
          an_empty_part_is_a_part, the_boundary_inside_data_is_data, blanks_may_follow_the_boundary,
          data_may_hold_nul, an_image_type_makes_a_file, file_names_are_kept_as_sent,
          malformed_bodies_are_refused, too_many_parts_are_refused, a_long_header_is_refused,
          boundaries_are_read_from_the_content_type, bad_boundaries_are_refused,
          only_multipart_types_are_multipart)
