#include "http/multipart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

/* Whether the one part with this head and data is a file. */
static bool is_file(const char *head, const char *data)
{
    char body[512];
    snprintf(body, sizeof body,
             "--b\r\nContent-Disposition: form-data; name=n%s\r\n\r\n%s\r\n--b--", head, data);
    ck_assert_msg(parse(body) == ERR_OK, "%s: %s", head, err.message);
    ck_assert_uint_eq(count, 1);
    return parts[0].is_file;
}

START_TEST(what_makes_a_file_and_what_does_not)
{
    static const struct {
        const char *head, *data;
        bool is_file;
    } cases[] = {
        {"", "text", false},
        {"", "", false},
        {"\r\nContent-Type: text/plain", "text", false},
        {"\r\nContent-Type: application/json", "{}", false},
        {"\r\nContent-Type: application/octet-stream", "text", true},
        {"\r\ncontent-type:APPLICATION/Octet-Stream; x=y", "text", true},
        {"\r\nContent-Type: application/octet-streams", "text", false},
        {"\r\nContent-Type: image/jpeg", "text", true},
        {"; filename=x", "text", true},
        {"; filename*=UTF-8''%e2%82%ac.jpg", "text", true},
        {"; filename=\"x.jpg\"", "", true},
        {"; filename=\"\"", "text", true},
        {"; filename=\"\"\r\nContent-Type: application/octet-stream", "", false},
        {"", "\xff\xd8\xff\xe0", true},
        {"\r\nContent-Type: text/plain", "\xff\xd8\xff\xdb", true},
        {"", "\xff\xd8\xfe", false},
        {"", "\xff\xd8", false},
        {"", " \xff\xd8\xff", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_msg(is_file(cases[i].head, cases[i].data) == cases[i].is_file, "%s, %s",
                      cases[i].head, cases[i].data);
}
END_TEST

START_TEST(part_headers_may_be_folded_and_in_any_order)
{
    ck_assert_msg(parse("--b\r\ncontent-TYPE:image/jpeg\r\nX-Other: a\r\n b\r\n"
                        "CONTENT-DISPOSITION :form-data") == ERR_MULTIPART,
                  "a blank before the colon");
    ck_assert_msg(parse("--b\r\ncontent-TYPE:image/jpeg\r\nX-Other: a\r\n b\r\n"
                        "content-disposition:\r\n\tform-data;\r\n name = \"n\" ;\r\n"
                        "  filename=f.jpg;\r\n\r\n data\r\n--b--") == ERR_OK,
                  "%s", err.message);
    check_slice(parts[0].name, "n");
    check_slice(parts[0].file_name, "f.jpg");
    check_slice(parts[0].data, " data");
    ck_assert_int_eq(parse("--b\r\n X: a\r\n" FIELD "\r\nx\r\n--b--"), ERR_MULTIPART);
    ck_assert_int_eq(
        parse("--b\r\nContent-Disposition: form-data; name=\"a\r\n b\"\r\n\r\nx\r\n--b--"),
        ERR_MULTIPART);
}
END_TEST

START_TEST(refusals_name_what_is_wrong)
{
    char boundary[MULTIPART_BOUNDARY_MAX + 1];
    static const char *const types[][2] = {
        {"multipart/form-data; boundary=\"\"", "empty"},
        {"multipart/form-data; boundary=\"x \"", "ends with a blank"},
        {"multipart/form-data; boundary=\"a@b\"", "0x40"},
        {"multipart/form-data; boundary=\"\xc3\xbc\"", "0xc3"},
        {"multipart/form-data; x=y; boundary=a@b", "\"@b\""},
        {"multipart/form-data; boundary=a b", "\" b\""},
        {"multipart/form-data; charset=utf-8", "no boundary"},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        ck_assert_int_eq(multipart_boundary(types[i][0], boundary, &err), ERR_MULTIPART);
        ck_assert_msg(strstr(err.message, types[i][1]), "%s: %s", types[i][0], err.message);
    }
    static const char *const encodings[] = {"base64", "Quoted-Printable", "x-uuencode"};
    for (size_t i = 0; i < sizeof encodings / sizeof encodings[0]; i++) {
        char body[256];
        snprintf(body, sizeof body,
                 "--b\r\n" FIELD "Content-Transfer-Encoding: %s\r\n\r\nx\r\n--b--", encodings[i]);
        ck_assert_int_eq(parse(body), ERR_MULTIPART);
        ck_assert_msg(strstr(err.message, encodings[i]), "%s", err.message);
    }
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

/* CPU seconds, the least of three, to find that a large body of this, again and again, does not
 * end. */
static double search_time(const char *content)
{
    enum { SIZE = 2 << 20, TIMES = 3 };
    static const char head[] = "--aaaaaaaaaa\r\nContent-Disposition: form-data; name=x\r\n\r\n";
    char *body = malloc(SIZE);
    double min = 1e9;
    ck_assert_ptr_nonnull(body);
    for (size_t i = 0, n = strlen(content); i < SIZE; i++)
        body[i] = i < sizeof head - 1 ? head[i] : content[i % n];
    for (int i = 0; i < TIMES; i++) {
        struct timespec begin, end;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
        ck_assert_int_eq(multipart_parse(body, SIZE, "aaaaaaaaaa", parts, MAX, &count, &err),
                         ERR_MULTIPART);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
        double spent =
            (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
        min = spent < min ? spent : min;
    }
    free(body);
    return min;
}

START_TEST(a_body_made_for_its_boundary_takes_no_long_search)
{
    static const char *const contents[] = {"a",
                                           "\r\n--aaaaaaaaab",
                                           "\r\n--aaaaaaaaaaaaaaaaaaaaaaaa",
                                           "\r\n--",
                                           "\r\n",
                                           "\r",
                                           "\n",
                                           "-",
                                           "x"};
    double where_it_may_begin = search_time("\rx");
    for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++)
        ck_assert_double_lt(search_time(contents[i]), 4 * where_it_may_begin);
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
        /* every mark of a token, and of bchars */
        {"multipart/form-data; boundary=*****", "*****"},
        {"multipart/form-data; boundary=!", "!"},
        {"multipart/form-data; boundary=$", "$"},
        {"multipart/form-data; boundary=!#$%&'*+-.^_`|~09azAZ", "!#$%&'*+-.^_`|~09azAZ"},
        {"multipart/form-data; boundary=\"'()+_,-./:=?\"", "'()+_,-./:=?"},
        {"multipart/form-data; boundary='()+_,-./:=?", "'()+_,-./:=?"},
        {"multipart/form-data; boundary=\"\\a\\ b\"", "a b"},
        {"multipart/form-data ;; Boundary = x ; charset=utf-8 ", "x"},
        {"multipart/form-data; type=text/html; start=\"<a@b>\"; boundary=x", "x"},
        /* clients' */
        {"multipart/form-data; boundary=------------------------d74496d66958873e",
         "------------------------d74496d66958873e"},
        {"multipart/form-data; boundary=----formdata-undici-0123456789",
         "----formdata-undici-0123456789"},
        {"multipart/form-data; boundary=\"5c1f9b3e-8a3c-4d11-9b1d-0a2b3c4d5e6f\"",
         "5c1f9b3e-8a3c-4d11-9b1d-0a2b3c4d5e6f"},
        {"multipart/form-data; boundary=dart-http-boundary-+_'().Ab0",
         "dart-http-boundary-+_'().Ab0"},
        {"multipart/form-data; boundary=----=_Part_0_1234.5678", "----=_Part_0_1234.5678"},
        {"multipart/form-data; boundary=--------Embt-Boundary--07CD174C4AD88F1A",
         "--------Embt-Boundary--07CD174C4AD88F1A"},
        {"multipart/form-data; charset=utf-8; boundary=\"===============7330845974216740156==\"",
         "===============7330845974216740156=="},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        ck_assert_msg(multipart_boundary(good[i][0], boundary, &err) == ERR_OK, "%s: %s",
                      good[i][0], err.message);
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
        "multipart/form-data; boundary=\"x\\\\\"",
        "multipart/form-data; boundary=\"x\\\"\"",
        "multipart/form-data; boundary=\"x\\ \"",
        "multipart/form-data; boundary=a@b",
        "multipart/form-data; boundary=x, multipart/form-data; boundary=y",
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
          data_may_hold_nul, an_image_type_makes_a_file, what_makes_a_file_and_what_does_not,
          part_headers_may_be_folded_and_in_any_order, refusals_name_what_is_wrong,
          file_names_are_kept_as_sent, malformed_bodies_are_refused, too_many_parts_are_refused,
          a_body_made_for_its_boundary_takes_no_long_search, a_long_header_is_refused,
          boundaries_are_read_from_the_content_type, bad_boundaries_are_refused,
          only_multipart_types_are_multipart)
