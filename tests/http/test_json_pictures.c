#include "http/json_pictures.h"

#include <stdlib.h>
#include <string.h>

#include "tests/suite.h"

enum { MAX = 2 };

static struct json_pictures pictures;
static struct error err;

static int read(const char *text)
{
    static char body[1 << 17];
    size_t length = strlen(text);
    free(pictures.slices);
    pictures.slices = NULL;
    ck_assert_uint_lt(length, sizeof body);
    memcpy(body, text, length);
    return json_pictures_read(body, length, MAX, &pictures, &err);
}

static void check_picture(size_t i, const char *wanted)
{
    ck_assert_uint_lt(i, pictures.count);
    ck_assert_uint_eq(pictures.slices[i].length, strlen(wanted));
    ck_assert_mem_eq(pictures.slices[i].bytes, wanted, strlen(wanted));
}

START_TEST(pictures_are_found_in_every_form)
{
    static const char *const forms[] = {
        "{\"image\":\"YWJj\"}",
        "{\"image\":{\"b64\":\"YWJj\"}}",
        " {\"image\" : \"data:image/jpeg;base64,YWJj\" } ",
        "{\"image\":\"data:image\\/jpeg;base64,YW\\nJ\\u006a\",\"parameters\":null}",
        "{\"instances\":[\"YWJj\"]}",
        "{\"instances\":[{\"b64\":\"YWJj\"}]}",
        "{\"signature_name\":\"serving_default\",\"instances\":[{\"image_bytes\":{\"b64\":\"YWJj\"}"
        "}]}",
        "{\"instances\":[{\"data\":\"data:;base64,YWJj\"}]}",
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        ck_assert_msg(read(forms[i]) == ERR_OK, "%s: %s", forms[i], err.message);
        ck_assert_uint_eq(pictures.count, 1);
        ck_assert_int_eq(pictures.top_k, 0);
        ck_assert_int_eq(pictures.is_list, strstr(forms[i], "instances") != NULL);
        check_picture(0, "abc");
    }
}
END_TEST

START_TEST(pictures_keep_their_order)
{
    ck_assert_int_eq(
        read("{\"parameters\":{\"top_k\":7},\"instances\":[{\"image\":\"YQ==\"},\"YmM\"]}"),
        ERR_OK);
    ck_assert_uint_eq(pictures.count, 2);
    ck_assert_int_eq(pictures.top_k, 7);
    check_picture(0, "a");
    check_picture(1, "bc");
}
END_TEST

START_TEST(no_client_can_name_a_string_by_its_index)
{
    ck_assert_int_eq(read("{\"signature_name\":\"serving_default\",\"image\":0}"), ERR_BAD_REQUEST);
    ck_assert_int_eq(read("{\"0\":\"YWJj\",\"image\":\"0\"}"), ERR_BAD_REQUEST);
    ck_assert_int_eq(read("{\"image\":\"1111\",\"parameters\":{}}"), ERR_OK);
    check_picture(0, "\xd7\x5d\x75");
}
END_TEST

START_TEST(what_is_wrong_has_its_code)
{
    static const struct {
        const char *text;
        int code;
    } wrong[] = {
        {"{\"instances\":[\"\",\"\",\"\"]}", ERR_TOO_MANY_PARTS},
        {"{\"instances\":[0,0,0]}", ERR_TOO_MANY_PARTS},
        {"{\"image\":\"\",\"parameters\":{\"top_k\":0}}", ERR_PARAMETER},
        {"{\"image\":\"\",\"parameters\":{\"topK\":1}}", ERR_PARAMETER},
        {"{\"image\":\"\",\"image\":\"\"}", ERR_BAD_REQUEST},
        {"{\"image\":\"\",\"instances\":[\"\"]}", ERR_BAD_REQUEST},
        {"{\"image\":\"\",\"signature_name\":\"predict\"}", ERR_BAD_REQUEST},
        {"{\"image\":\"data:image/jpeg,YWJj\"}", ERR_BAD_REQUEST},
        {"{\"image\":\"YWJj", ERR_BAD_REQUEST},
        {"[\"YWJj\"]", ERR_BAD_REQUEST},
        {"", ERR_BAD_REQUEST},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert_msg(read(wrong[i].text) == wrong[i].code, "%s", wrong[i].text);
        ck_assert_ptr_null(pictures.slices);
    }
}
END_TEST

static void check_told(const char *text, const char *told)
{
    ck_assert_int_eq(read(text), ERR_BAD_REQUEST);
    ck_assert_msg(strstr(err.message, told), "%s: %s", told, err.message);
}

START_TEST(what_is_wrong_is_told_with_its_place)
{
    check_told("{\"image\":[]}", "image: the picture is not a string");
    check_told("{\"image\":{\"url\":\"\"}}", "image: no picture is expected in \"url\"");
    check_told("{\"instances\":[\"YQ\",\"a:\"]}", "instance 1: the base64 contains a colon");
    check_told("{\"instances\":[\"Y Q=\"]}", "instance 0: the base64 contains a space");
    check_told("{\"instances\":[\"YQ==YQ==\"]}", "instance 0: the base64 continues after the =");
    check_told("{\"image\":\"YWJja\"}", "image: the base64 has an impossible length");
    check_told("{\"image\":\"data:image/jpeg,YQ\"}", "image: the data: URL is not in base64");
    check_told(" [{\"b64\":\"YQ\"}]",
               "not an object; send {\"instances\":[{\"b64\":\"...\"}, ...]}");
    check_told("{\"image\":\"YQ", "cut off within a string");
}
END_TEST

START_TEST(what_is_too_large_for_a_tree_is_refused)
{
    static char text[1 << 17];
    memset(text, ' ', 100000);
    memcpy(text, "{\"image\":\"YWJj\"}", 16);
    ck_assert_int_eq(read(text), ERR_OK);
    memset(text, 'k', 100000);
    memcpy(text, "{\"", 2);
    memcpy(text + 99000, "\":0}", 5);
    check_told(text, "65536 bytes without its pictures");
    memcpy(text, "{\"instances\":", 13);
    memset(text + 13, '[', 16);
    text[29] = '\0';
    check_told(text, "16 levels");
}
END_TEST

static size_t estimate(const char *text)
{
    static char body[256];
    size_t length = strlen(text);
    ck_assert_uint_lt(length, sizeof body);
    memcpy(body, text, length);
    return json_pictures_estimate(body, length, 3);
}

START_TEST(pictures_are_estimated_before_they_are_read)
{
    ck_assert_uint_eq(estimate("{\"image\":\"YWJj\"}"), 1);
    ck_assert_uint_eq(estimate("{\"instances\" : [{\"b64\"\n:\"YQ\"}, \"data:;base64,YQ\"]}"), 2);
    ck_assert_uint_eq(estimate("{\"instances\":[{\"data\":{\"b64\":\"a\\/\"}}],\"parameters\":{}}"),
                      1);
    ck_assert_uint_eq(estimate("[\"\",\"\",\"\",\"\",\"\"]"), 3);
    ck_assert_uint_eq(estimate("{\"image\":\"YWJj"), 0);
    ck_assert_uint_eq(estimate("{\"image"), 0);
    ck_assert_uint_eq(estimate("\"\""), 1);
    ck_assert_uint_eq(estimate(""), 0);
}
END_TEST

START_TEST(json_is_known_by_its_type_or_its_brace)
{
    ck_assert(json_pictures_is_json(NULL, "\r\n {", 4));
    ck_assert(json_pictures_is_json("image/jpeg", "{", 1));
    ck_assert(json_pictures_is_json("Application/Json;x", "[]", 2));
    ck_assert(!json_pictures_is_json("application/json", "\xff\xd8\xff{", 4));
    ck_assert(!json_pictures_is_json("application/jsonp", "[", 1));
    ck_assert(!json_pictures_is_json(NULL, "  ", 2));
}
END_TEST

TEST_MAIN("http/json_pictures", 10, pictures_are_found_in_every_form, pictures_keep_their_order,
          pictures_are_estimated_before_they_are_read, no_client_can_name_a_string_by_its_index,
          what_is_wrong_has_its_code, what_is_wrong_is_told_with_its_place,
          what_is_too_large_for_a_tree_is_refused, json_is_known_by_its_type_or_its_brace)
