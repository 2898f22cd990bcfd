#include "http/oip/infer_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/suite.h"

enum { SIZE = 2, NUMBERS = 3 * SIZE * SIZE, CLASSES = 4, MAX_IMAGES = 3 };

static struct error err;
static struct request *request;
static struct bodies bodies;

static int decode_against(const struct infer_terms *terms, const void *body)
{
    uint8_t *upload = malloc(terms->body_length + 1);
    memcpy(upload, body, terms->body_length);
    request_release(request);
    ck_assert_int_eq(request_create(&request, NULL, 0, 1, 0, upload, &err), ERR_OK);
    request->codec = &infer_codec;
    ck_assert_int_eq(infer_prepare(request, "m", terms, &err), ERR_OK);
    return request->codec->decode(request, &err);
}

/* Decodes a body, whose first `json` bytes are JSON (0: there is no header). */
static int decode(const void *body, size_t length, size_t json)
{
    const struct infer_terms terms = {.size = SIZE,
                                      .classes = CLASSES,
                                      .max_images = MAX_IMAGES,
                                      .header_length = json ? (int64_t)json : INFER_NO_HEADER,
                                      .body_length = length};
    return decode_against(&terms, body);
}

static int decode_text(const char *text)
{
    return decode(text, strlen(text), 0);
}

static void finish(void)
{
    request_release(request);
    request = NULL;
}

static int read_tensor(size_t part, float *out)
{
    return request->codec->read_tensor(request, part, out, &err);
}

#define TENSOR(shape, data)                                                                        \
    "{\"inputs\":[{\"name\":\"input\",\"datatype\":\"FP32\",\"shape\":[" shape                     \
    ",3,2,2],\"data\":" data "}]}"
#define FLAT   "[0,1,2,3,4,5,6,7,8,9,10,11]"
#define NESTED "[[[ [0,1],[2,3]],[[4,5],[6,7]],[[8,9],[10,11] ]]]"

static void check_order(void)
{
    float out[NUMBERS];
    ck_assert_msg(read_tensor(0, out) == ERR_OK, "%s", err.message);
    for (int i = 0; i < SIZE * SIZE; i++)
        for (int c = 0; c < 3; c++)
            ck_assert_float_eq(out[3 * i + c], (float)(SIZE * SIZE * c + i));
}

START_TEST(planes_become_pixels)
{
    ck_assert_msg(decode_text(TENSOR("1", FLAT)) == ERR_OK, "%s", err.message);
    check_order();
    ck_assert_msg(decode_text(TENSOR("1", NESTED)) == ERR_OK, "%s", err.message);
    check_order();
    finish();
}
END_TEST

START_TEST(a_batch_is_read_in_order)
{
    float out[NUMBERS];
    ck_assert_int_eq(
        decode_text(TENSOR("2", "[0,0,0,0,0,0,0,0,0,0,0,1,  2,0,0,0,0,0,0,0,0,0,0,3]")), ERR_OK);
    ck_assert_uint_eq(request->part_count, 2);
    ck_assert_int_eq(read_tensor(0, out), ERR_OK);
    ck_assert_float_eq(out[NUMBERS - 1], 1);
    ck_assert_int_eq(read_tensor(1, out), ERR_OK);
    ck_assert_float_eq(out[0], 2);
    ck_assert_float_eq(out[NUMBERS - 1], 3);
    finish();
}
END_TEST

START_TEST(binary_floats_are_read)
{
    static const char head[] =
        "{\"inputs\":[{\"name\":\"input\",\"datatype\":\"FP32\",\"shape\":[1,3,2,2],"
        "\"parameters\":{\"binary_data_size\":48}}]}";
    char body[sizeof head - 1 + NUMBERS * sizeof(float)];
    memcpy(body, head, sizeof head - 1);
    for (int i = 0; i < NUMBERS; i++) {
        float number = (float)i;
        memcpy(body + sizeof head - 1 + (size_t)i * sizeof number, &number, sizeof number);
    }
    ck_assert_msg(decode(body, sizeof body, sizeof head - 1) == ERR_OK, "%s", err.message);
    check_order();
    ck_assert_int_eq(decode(body, sizeof body - 1, sizeof head - 1), ERR_BAD_REQUEST);
    ck_assert_int_eq(decode(body, sizeof head - 1, 0), ERR_BAD_REQUEST);
    ck_assert_int_eq(decode(body, sizeof body, sizeof body + 1), ERR_BAD_REQUEST);
    memcpy(body + sizeof head - 1, "\0\0\xc0\x7f", 4);
    float out[NUMBERS];
    ck_assert_int_eq(decode(body, sizeof body, sizeof head - 1), ERR_OK);
    ck_assert_int_eq(read_tensor(0, out), ERR_BAD_REQUEST);
    finish();
}
END_TEST

/* What one number in JSON is read as; NAN if it is refused. */
static float number(const char *text)
{
    char body[512];
    float out[NUMBERS];
    snprintf(body, sizeof body, TENSOR("1", "[%s,1,1,1,1,1,1,1,1,1,1,1]"), text);
    ck_assert_msg(decode_text(body) == ERR_OK, "%s: %s", text, err.message);
    return read_tensor(0, out) == ERR_OK ? out[0] : (float)NAN;
}

START_TEST(numbers_are_those_of_json)
{
    static const struct {
        const char *text;
        float value;
    } good[] = {
        {"0", 0},
        {"-0.5", -0.5F},
        {"1e2", 100},
        {"1E-2", 0.01F},
        {"2.5e+1", 25},
        {"0.1", 0.1F},
        {"3.40282347e+38", 3.40282347e+38F},
        {"1.17549435e-38", 1.17549435e-38F},
        {"1e-60", 0},
        {"0.000000000000000000000000000000012345", 1.2345e-32F},
        {"123456789012345678901234567890", 123456789012345678901234567890.0F},
        {"0.48500001430511475", 0.485F},
        {"16777217", 16777216},
    };
    static const char *const bad[] = {"",    "+1",  ".5",   "1.",       "01",          "1e",
                                      "0x1", "nan", "null", "\"1\"",    "1e39",        "-1e999",
                                      "1 1", "[1]", "--1",  "Infinity", "3.4028236e38"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ck_assert_msg(number(good[i].text) == good[i].value, "%s gives %.9g", good[i].text,
                      (double)number(good[i].text));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(isnan(number(bad[i])), "%s is taken for %.9g", bad[i],
                      (double)number(bad[i]));
    finish();
}
END_TEST

START_TEST(every_float_printed_is_read_as_itself)
{
    uint32_t state = 12345;
    for (int i = 0; i < 20000; i++) {
        char text[64];
        float value;
        state = state * 1664525 + 1013904223;
        uint32_t bits = (state & 0x807fffff) | ((state >> 3) % 0xfe << 23);
        memcpy(&value, &bits, sizeof value);
        snprintf(text, sizeof text, i % 2 ? "%.9g" : "%.17g", (double)value);
        ck_assert_msg(number(text) == value, "%s gives %.9g", text, (double)number(text));
    }
    finish();
}
END_TEST

START_TEST(arrays_of_the_wrong_form_are_refused)
{
    static const char *const bad[] = {
        "[]",
        "[0,1,2,3,4,5,6,7,8,9,10]",
        "[0,1,2,3,4,5,6,7,8,9,10,11,12]",
        "[0,1,2,3,4,5,6,7,8,9,10,11,]",
        "[,0,1,2,3,4,5,6,7,8,9,10,11]",
        "[[0,1,2,3,4,5,6,7,8,9,10,11]]",
        "[[[[0,1],[2,3]],[[4,5],[6,7]],[[8,9],[10,11]]]",
        "[[[[0,1,2,3],[]],[[4,5],[6,7]],[[8,9],[10,11]]]]",
        "[0 1 2 3 4 5 6 7 8 9 10 11]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char body[512];
        float out[NUMBERS];
        snprintf(body, sizeof body, TENSOR("1", "%s"), bad[i]);
        int code = decode_text(body);
        if (code == ERR_OK)
            code = read_tensor(0, out);
        ck_assert_msg(code == ERR_BAD_REQUEST, "%s", bad[i]);
    }
    finish();
}
END_TEST

#define IMAGE(shape, data)                                                                         \
    "{\"inputs\":[{\"name\":\"image\",\"datatype\":\"BYTES\",\"shape\":" shape ",\"data\":" data   \
    "}]}"

static void check_jpeg(size_t i, const char *bytes)
{
    ck_assert_uint_eq(request->parts[i].length, strlen(bytes));
    ck_assert_mem_eq(request->parts[i].jpeg, bytes, strlen(bytes));
}

START_TEST(base64_is_decoded)
{
    ck_assert_msg(decode_text(IMAGE("[3]", "[\"TWFu\", \"TWE=\",\"TQ==\"]")) == ERR_OK, "%s",
                  err.message);
    check_jpeg(0, "Man");
    check_jpeg(1, "Ma");
    check_jpeg(2, "M");
    ck_assert_int_eq(decode_text(IMAGE("[2,1]", "[[\"TWFu\"],[\"TWFu\"]]")), ERR_OK);
    check_jpeg(1, "Man");
    ck_assert_int_eq(decode_text(IMAGE("[2,1]", "[\"TWFu\",\"TWFu\"]")), ERR_OK);
    ck_assert_int_eq(decode_text(IMAGE("[1]", "[\"\\/\\u002b\\u002B/\"]")), ERR_OK);
    check_jpeg(0, "\xff\xef\xbf");
    ck_assert_int_eq(decode_text(IMAGE("[1]", "[\"\"]")), ERR_OK);
    static const char *const forms[][2] = {
        {"\\n", ""},
        {"TWFu\\nTWFu", "ManMan"},
        {"TW\\r\\nFu\\u000aTW\\u000D\\u000AE=\\n", "ManMa"},
        {"TWE", "Ma"},
        {"TQ", "M"},
        {"TQ=\\n=", "M"},
        {"_--_", "\xff\xef\xbf"},
        {"\\u005f--_", "\xff\xef\xbf"},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        char body[256];
        snprintf(body, sizeof body, IMAGE("[1]", "[\"%s\"]"), forms[i][0]);
        ck_assert_msg(decode_text(body) == ERR_OK, "%s: %s", forms[i][0], err.message);
        check_jpeg(0, forms[i][1]);
    }
    finish();
}
END_TEST

/* Inference-Header-Content-Length: 0. */
static int decode_raw(const char *body, size_t length)
{
    const struct infer_terms terms = {.size = SIZE,
                                      .classes = CLASSES,
                                      .max_images = MAX_IMAGES,
                                      .header_length = 0,
                                      .body_length = length};
    return decode_against(&terms, body);
}

START_TEST(a_raw_body_is_one_jpeg)
{
    ck_assert_msg(decode_raw("\xff\xd8\xff\xd9\0x", 6) == ERR_OK, "%s", err.message);
    const struct infer *infer = request->codec_state;
    ck_assert_uint_eq(request->part_count, 1);
    ck_assert_uint_eq(request->parts[0].length, 6);
    ck_assert_mem_eq(request->parts[0].jpeg, "\xff\xd8\xff\xd9\0x", 6);
    ck_assert_uint_eq(infer->output_count, INFER_OUTPUT_COUNT);
    for (size_t i = 0; i < infer->output_count; i++)
        ck_assert(infer->outputs[i].binary && infer->outputs[i].top == 0);
    ck_assert_int_eq(decode_raw("\4\0\0\0\xff\xd8\xff\xd9", 8), ERR_NOT_JPEG);
    ck_assert_int_eq(decode_raw("{}", 2), ERR_NOT_JPEG);
    ck_assert_int_eq(decode_raw("\xff\xd8", 2), ERR_NOT_JPEG);
    finish();
}
END_TEST

START_TEST(null_is_what_is_absent)
{
    ck_assert_msg(decode_text("{\"id\":null,\"parameters\":null,\"outputs\":null,\"inputs\":[{"
                              "\"name\":\"image\",\"datatype\":\"BYTES\",\"shape\":[1],"
                              "\"parameters\":{\"binary_data_size\":null,\"content_type\":null},"
                              "\"data\":[\"TWFu\"]}]}") == ERR_OK,
                  "%s", err.message);
    check_jpeg(0, "Man");
    ck_assert_ptr_null(((struct infer *)request->codec_state)->id);
    ck_assert_int_eq(decode_text(IMAGE("[1]", "null")), ERR_BAD_REQUEST);
    ck_assert_int_eq(decode_text(IMAGE("[1]", "nul")), ERR_BAD_REQUEST);
    ck_assert_int_eq(decode_text(IMAGE("[1]", "nullx")), ERR_BAD_REQUEST);
    ck_assert_int_eq(decode_text(IMAGE("[1]", "null0")), ERR_BAD_REQUEST);
    ck_assert_int_eq(decode_text(IMAGE("null", "[\"TWFu\"]")), ERR_BAD_REQUEST);
    finish();
}
END_TEST

START_TEST(what_is_not_base64_is_refused)
{
    static const char *const bad[] = {"[\"TWFuT\"]",
                                      "[\"TWFu \"]",
                                      "[\"TWFu\\t\"]",
                                      "[\"TWFu\n\"]",
                                      "[\"TWFu=\"]",
                                      "[\"TWFu====\"]",
                                      "[\"TQ=\"]",
                                      "[\"TQ===\"]",
                                      "[\"=\"]",
                                      "[\"TWFu\\\"\"]",
                                      "[\"TWFu\\u0000\"]",
                                      "[\"TWFu",
                                      "[255,216]",
                                      "[[255,216]]",
                                      "[null]",
                                      "[\"T===\"]",
                                      "[\"TQ==TQ==\"]",
                                      "[\"TW=u\"]",
                                      "[\"TWF\\u0\"]",
                                      "[\"TWF\\u2603\"]",
                                      "[TWFu]",
                                      "[\"TWFu\",]",
                                      "[[\"TWFu\"]]",
                                      "[\"TWFu\",\"TWFu\"]",
                                      "[1]",
                                      "[]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char body[512];
        snprintf(body, sizeof body, IMAGE("[1]", "%s"), bad[i]);
        ck_assert_msg(decode_text(body) == ERR_BAD_REQUEST, "%s", bad[i]);
    }
    finish();
}
END_TEST

START_TEST(requests_that_make_no_sense_are_refused)
{
    static const struct {
        const char *body;
        int code;
    } bad[] = {
        {"", ERR_BAD_REQUEST},
        {"[]", ERR_BAD_REQUEST},
        {"{}", ERR_BAD_REQUEST},
        {"{\"inputs\":[]}", ERR_BAD_REQUEST},
        {"{\"inputs\":7}", ERR_BAD_REQUEST},
        {"{\"id\":1,\"inputs\":[]}", ERR_BAD_REQUEST},
        {TENSOR("1", FLAT) "x", ERR_BAD_REQUEST},
        {TENSOR("1", FLAT) "}", ERR_BAD_REQUEST},
        {TENSOR("0", FLAT), ERR_BAD_REQUEST},
        {TENSOR("-1", FLAT), ERR_BAD_REQUEST},
        {TENSOR("1.0", FLAT), ERR_BAD_REQUEST},
        {TENSOR("4", FLAT), ERR_TOO_MANY_PARTS},
        {TENSOR("9223372036854775807", FLAT), ERR_TOO_MANY_PARTS},
        {TENSOR("99999999999999999999", FLAT), ERR_BAD_REQUEST},
        {TENSOR("1,1", FLAT), ERR_BAD_REQUEST},
        {TENSOR("1", "3"), ERR_BAD_REQUEST},
        {TENSOR("1", "\"x\""), ERR_BAD_REQUEST},
        {TENSOR("1", FLAT ",\"data\":" FLAT), ERR_BAD_REQUEST},
        {TENSOR("1", FLAT ",\"d\\u0061ta\":0"), ERR_BAD_REQUEST},
        {TENSOR("1", FLAT ",\"parameters\":3"), ERR_BAD_REQUEST},
        {TENSOR("1", FLAT ",\"parameters\":{\"binary_data_size\":0}"), ERR_BAD_REQUEST},
        {TENSOR("1", FLAT ",\"parameters\":{\"binary_data_size\":-1}"), ERR_BAD_REQUEST},
        {TENSOR("1", FLAT "}],\"outputs\":[{\"name\":\"x\""), ERR_BAD_REQUEST},
        {TENSOR("1", FLAT "}],\"outputs\":[{\"name\":\"logits\"},{\"name\":\"logits\""),
         ERR_BAD_REQUEST},
        {TENSOR("1", FLAT "}],\"outputs\":[{\"name\":\"logits\",\"data\":[]"), ERR_BAD_REQUEST},
        {TENSOR("1", FLAT "}],\"outputs\":[{\"name\":\"logits\",\"parameters\":{\"classification\""
                          ":0}"),
         ERR_BAD_REQUEST},
        {TENSOR("1",
                FLAT "}],\"outputs\":[{\"name\":\"logits\",\"parameters\":{\"binary_data\":1}"),
         ERR_BAD_REQUEST},
        {"{\"inputs\":[{\"name\":\"input\",\"datatype\":\"FP64\",\"shape\":[1,3,2,2],\"data\":" FLAT
         "}]}",
         ERR_BAD_REQUEST},
        {"{\"inputs\":[{\"name\":\"input\",\"datatype\":\"FP32\",\"shape\":[1,3,3,2],\"data\":" FLAT
         "}]}",
         ERR_BAD_REQUEST},
        {IMAGE("[1,2]", "[\"TWFu\"]"), ERR_BAD_REQUEST},
        {IMAGE("[]", "[\"TWFu\"]"), ERR_BAD_REQUEST},
        {IMAGE("[1]", "[\"TWFu\"],\"parameters\":{\"content_type\":\"str\"}"), ERR_BAD_REQUEST},
        {"{\"a\":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}", ERR_BAD_REQUEST},
        {"{\"inputs\":[{\"data\":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}]}", ERR_BAD_REQUEST},
        {"{\"inputs\":[{\"data\":[}]}", ERR_BAD_REQUEST},
        {"{\"inputs\":[{\"data\":[\"\\", ERR_BAD_REQUEST},
        {"{\"inputs\":[{\"data\"", ERR_BAD_REQUEST},
        {"}", ERR_BAD_REQUEST},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(decode_text(bad[i].body) == bad[i].code, "%s: %s", bad[i].body, err.message);
    finish();
}
END_TEST

START_TEST(a_long_envelope_is_refused_but_not_long_data)
{
    size_t length = 200000;
    char *body = malloc(length + 1);
    memset(body, ' ', length);
    static const char head[] = TENSOR("1", FLAT);
    memcpy(body, head, sizeof head - 1);
    ck_assert_msg(decode(body, length, 0) == ERR_OK, "spaces: %s", err.message);
    memset(body, 'x', length);
    memcpy(body, "{\"id\":\"", 7);
    memcpy(body + length - sizeof head - 10, "\",", 2);
    memcpy(body + length - sizeof head - 8, head + 1, sizeof head - 2);
    memset(body + length - 10, ' ', 10);
    ck_assert_int_eq(decode(body, length, 0), ERR_BAD_REQUEST);
    ck_assert_ptr_nonnull(strstr(err.message, "65536"));
    free(body);
    finish();
}
END_TEST

/* Made-up results, and the answer, with a NUL behind it. */
static void answer(void)
{
    request->bodies = &bodies;
    ck_assert_int_eq(request_reserve_predictions(request, &err), ERR_OK);
    for (size_t i = 0; i < request->part_count; i++) {
        struct request_part *part = &request->parts[i];
        part->values = calloc(2 * CLASSES, sizeof *part->values);
        for (int c = 0; c < CLASSES; c++) {
            part->values[c] = (float)c - 1.5F;
            part->values[CLASSES + c] = (float)c / 6;
        }
        for (int k = 0; k < request->top_k; k++)
            part->predictions[k] = (struct scored_class){3 - k, 0, "a \"b\""};
    }
    answer_begin(&request->answer, &bodies);
    ck_assert_int_eq(request->codec->encode(request, &err), ERR_OK);
    answer_put(&request->answer, "", 1);
    ck_assert_int_eq(answer_end(&request->answer, &err), ERR_OK);
}

START_TEST(answers_are_as_the_protocol_says)
{
    static const char body[] =
        "{\"id\":\"a\\\"b\",\"inputs\":[{\"name\":\"input\",\"datatype\":\"FP32\",\"shape\":[1,3,2,"
        "2]"
        ",\"data\":" FLAT "}],\"outputs\":[{\"name\":\"logits\"},{\"name\":\"probabilities\","
        "\"parameters\":{\"classification\":2}}]}";
    ck_assert_msg(decode_text(body) == ERR_OK, "%s", err.message);
    answer();
    ck_assert_uint_eq(request->answer.json_length, 0);
    ck_assert_str_eq(request->answer.bytes,
                     "{\"model_name\":\"m\",\"model_version\":\"1\",\"id\":\"a\\\"b\",\"outputs\":["
                     "{\"name\":\"logits\",\"datatype\":\"FP32\",\"shape\":[1,4],"
                     "\"data\":[-1.5,-0.5,0.5,1.5]},"
                     "{\"name\":\"probabilities\",\"datatype\":\"BYTES\",\"shape\":[1,2],"
                     "\"data\":[\"0.5:3:a \\\"b\\\"\",\"0.333333343:2:a \\\"b\\\"\"]}]}");
    finish();
}
END_TEST

START_TEST(binary_answers_follow_the_json)
{
    static const char body[] =
        "{\"parameters\":{\"binary_data_output\":true},\"inputs\":[{\"name\":\"input\","
        "\"datatype\":"
        "\"FP32\",\"shape\":[1,3,2,2],\"data\":" FLAT "}],\"outputs\":[{\"name\":\"logits\"},"
        "{\"name\":\"probabilities\",\"parameters\":{\"classification\":1}}]}";
    static const char head[] =
        "{\"model_name\":\"m\",\"model_version\":\"1\",\"outputs\":["
        "{\"name\":\"logits\",\"datatype\":\"FP32\",\"shape\":[1,4],\"parameters\":{"
        "\"binary_data_size\":16}},{\"name\":\"probabilities\",\"datatype\":\"BYTES\",\"shape\":[1,"
        "1]"
        ",\"parameters\":{\"binary_data_size\":15}}]}";
    static const float logits[] = {-1.5F, -0.5F, 0.5F, 1.5F};
    ck_assert_msg(decode_text(body) == ERR_OK, "%s", err.message);
    answer();
    ck_assert_uint_eq(request->answer.json_length, sizeof head - 1);
    ck_assert_uint_eq(request->answer.length, sizeof head - 1 + 16 + 15 + 1);
    ck_assert_mem_eq(request->answer.bytes, head, sizeof head - 1);
    ck_assert_mem_eq(request->answer.bytes + sizeof head - 1, logits, sizeof logits);
    ck_assert_mem_eq(request->answer.bytes + sizeof head - 1 + 16,
                     "\x0b\0\0\0"
                     "0.5:3:a \"b\"",
                     15);
    finish();
}
END_TEST

TEST_MAIN("http/infer", 30, planes_become_pixels, a_batch_is_read_in_order, binary_floats_are_read,
          numbers_are_those_of_json, every_float_printed_is_read_as_itself,
          arrays_of_the_wrong_form_are_refused, base64_is_decoded, a_raw_body_is_one_jpeg,
          null_is_what_is_absent, what_is_not_base64_is_refused,
          requests_that_make_no_sense_are_refused, a_long_envelope_is_refused_but_not_long_data,
          answers_are_as_the_protocol_says, binary_answers_follow_the_json)
