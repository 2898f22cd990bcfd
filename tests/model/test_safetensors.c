#include "model/safetensors.h"

#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>

#include "tests/model/folder.h"
#include "tests/suite.h"

#define T(offsets) "{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[" offsets "]}"

static int parse(struct tensor_table *table, const char *header, uint64_t data, struct error *err)
{
    size_t length = strlen(header);
    return tensor_table_parse(table, header, length, 8 + length + data, err);
}

START_TEST(a_good_header_is_read)
{
    struct tensor_table table;
    struct error err;
    const char *header = "{\"__metadata__\":{\"format\":\"pt\"},"
                         "\"z\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[8,20]},"
                         "\"a.b\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
                         "\"empty\":{\"dtype\":\"F16\",\"shape\":[0,4],\"data_offsets\":[8,8]}}  ";
    ck_assert_int_eq(parse(&table, header, 20, &err), ERR_OK);
    ck_assert_uint_eq(table.count, 3);
    ck_assert_uint_eq(table.data_start, 8 + strlen(header));
    const struct tensor_info *z = tensor_table_find(&table, "z");
    ck_assert_ptr_nonnull(z);
    ck_assert_int_eq(z->type, TENSOR_BF16);
    ck_assert_int_eq(z->rank, 2);
    ck_assert_uint_eq(z->shape[1], 3);
    ck_assert_uint_eq(z->elements, 6);
    ck_assert_uint_eq(z->begin, 8);
    ck_assert_uint_eq(z->bytes, 12);
    ck_assert_uint_eq(tensor_table_find(&table, "a.b")->elements, 1);
    ck_assert_uint_eq(tensor_table_find(&table, "empty")->elements, 0);
    ck_assert_ptr_null(tensor_table_find(&table, "a"));
    tensor_table_destroy(&table);
}
END_TEST

/* Faults 52, 53, 54 and 56. */
static const struct {
    const char *header;
    uint64_t data;
    const char *says;
} bad_headers[] = {
    {"", 0, "begin with"},
    {" {}", 0, "begin with"},
    {"[]", 0, "begin with"},
    {"{", 0, "JSON"},
    {"{}x", 0, "JSON"},
    {"{\"\xff\":" T("0,8") "}", 8, "JSON"},
    {"{\"a\":" T("0,8") ",\"a\":" T("0,8") "}", 8, "duplicate"},
    {"{\"a\":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}", 0, "nested deeper"},
    {"{\"a\":1}", 0, "tensor a"},
    {"{\"\":" T("0,8") "}", 8, "name"},
    {"{\"a b\":" T("0,8") "}", 8, "name"},
    {"{\"\\u00e9\":" T("0,8") "}", 8, "name"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "entry"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"offsets\":[0,8]}}", 8, "data_offsets"},
    {"{\"a\":{\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype"},
    {"{\"a\":{\"dtype\":\"F4\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8, "F4"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8, "shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, "dimension 0"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", 8, "dimension 0"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}", 8,
     "shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
     "too large"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0,
     "too large"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,8]}}", 8,
     "JSON"},
    {"{\"a\":" T("0,4") "}", 8, "8 bytes of its shape"},
    {"{\"a\":" T("8,0") "}", 8, "8 bytes of its shape"},
    {"{\"a\":" T("-8,0") "}", 8, "data_offsets"},
    {"{\"a\":" T("0,8,16") "}", 8, "data_offsets"},
    {"{\"a\":" T("0,8") ",\"b\":" T("0,8") "}", 8, "inside another"},
    {"{\"a\":" T("0,8") ",\"b\":" T("4,12") "}", 12, "inside another"},
    {"{\"a\":" T("0,8") ",\"b\":" T("12,20") "}", 20, "after a gap"},
    {"{\"a\":" T("4,12") "}", 12, "after a gap"},
    {"{\"a\":" T("0,8") "}", 7, "only 7"},
    {"{\"a\":" T("0,8") "}", 9, "has 9"},
    {"{\"a\":" T("9223372036854775799,9223372036854775807") "}", 8, "after a gap"},
};

START_TEST(bad_headers_are_refused)
{
    for (size_t i = 0; i < sizeof bad_headers / sizeof bad_headers[0]; i++) {
        struct tensor_table table;
        struct error err;
        const char *header = bad_headers[i].header;
        int code = parse(&table, header, bad_headers[i].data, &err);
        ck_assert_msg(code == ERR_MODEL_INVALID || code == ERR_MODEL_UNSUPPORTED, "%s gives %d",
                      header, code);
        ck_assert_msg(strstr(err.message, bad_headers[i].says) != NULL, "%s: %s", header,
                      err.message);
    }
}
END_TEST

START_TEST(nul_padding_is_refused)
{
    struct tensor_table table;
    ck_assert_int_eq(tensor_table_parse(&table, "{}\0\0", 4, 12, NULL), ERR_MODEL_INVALID);
    ck_assert_int_eq(tensor_table_parse(&table, "{}  ", 4, 12, NULL), ERR_OK);
    tensor_table_destroy(&table);
}
END_TEST

START_TEST(too_many_tensors_are_refused)
{
    struct tensor_table table;
    struct error err;
    char *header = malloc(SAFETENSORS_MAX_HEADER), *at = header;
    at += sprintf(at, "{");
    for (int i = 0; i <= SAFETENSORS_MAX_TENSORS; i++)
        at += sprintf(at, "%s\"%d\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}",
                      i ? "," : "", i);
    sprintf(at, "}");
    ck_assert_int_eq(parse(&table, header, 0, &err), ERR_MODEL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "8193 tensors"));
    free(header);
}
END_TEST

/* Fault 51. */
START_TEST(a_wrong_header_length_is_refused)
{
    size_t length;
    const unsigned char huge[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const unsigned char ten[8] = {10}, past_limit[8] = {1, 0, 0x10};
    ck_assert_int_eq(tensor_table_header_length(huge, 1000, &length, NULL), ERR_MODEL_INVALID);
    ck_assert_int_eq(tensor_table_header_length(ten, 17, &length, NULL), ERR_MODEL_INVALID);
    ck_assert_int_eq(tensor_table_header_length(past_limit, 9 << 20, &length, NULL),
                     ERR_MODEL_INVALID);
    ck_assert_int_eq(tensor_table_header_length(ten, 18, &length, NULL), ERR_OK);
    ck_assert_uint_eq(length, 10);
}
END_TEST

static char folder[FOLDER_PATH];

#define NAME "layer1.0.conv1.weight"

/* Opens FOLDER/f with a tensor NAME, behind a prefix, of a type and these bytes. */
static struct safetensors *open_bytes(const char *type, size_t elements, const void *bytes,
                                      size_t length)
{
    unsigned char file[1024] = {0};
    struct safetensors *opened;
    int header =
        sprintf((char *)file + 8,
                "{\"model." NAME "\":{\"dtype\":\"%s\",\"shape\":[%zu],\"data_offsets\":[0,%zu]}}",
                type, elements, length);
    file[0] = (unsigned char)header;
    memcpy(file + 8 + header, bytes, length);
    folder_put(folder, "f", file, 8 + (size_t)header + length);
    ck_assert_int_eq(safetensors_open(&opened, folder_file(folder, "f"), NULL), ERR_OK);
    return opened;
}

static void check_read(const char *type, const void *bytes, size_t length, const float *expected,
                       size_t count)
{
    float out[16];
    struct safetensors *file = open_bytes(type, count, bytes, length);
    const struct tensor_info *a = tensor_table_find(safetensors_tensors(file), NAME);
    ck_assert_int_eq(safetensors_read(file, a, out, NULL), ERR_OK);
    for (size_t i = 0; i < count; i++) {
        ck_assert_float_eq(out[i], expected[i]);
        ck_assert_int_eq(signbit(out[i]) != 0, signbit(expected[i]) != 0);
    }
    safetensors_close(file);
}

START_TEST(every_type_is_read_exactly)
{
    folder_make(folder);
    const float f32[] = {1, -2.5F, 3.4e38F, 1e-45F, -0.0F};
    check_read("F32", f32, sizeof f32, f32, 5);
    const uint16_t f16[] = {0x3c00, 0xc000, 0x7bff, 0x0001, 0x83ff, 0x0400, 0x8000, 0x3555};
    const float halves[] = {1,
                            -2,
                            65504,
                            5.9604644775390625e-8F,
                            -6.097555160522461e-5F,
                            6.103515625e-5F,
                            -0.0F,
                            0.333251953125F};
    check_read("F16", f16, sizeof f16, halves, 8);
    const uint16_t bf16[] = {0x3f80, 0xc020, 0x7f7f, 0x0001, 0x8000};
    const float brains[] = {1, -2.5F, 0x1.fep127F, 0x1p-133F, -0.0F};
    check_read("BF16", bf16, sizeof bf16, brains, 5);
    folder_remove(folder);
}
END_TEST

static void check_not_finite(const char *type, const void *bytes, size_t length)
{
    float out[2];
    struct error err;
    struct safetensors *file = open_bytes(type, 2, bytes, length);
    const struct tensor_info *a = tensor_table_find(safetensors_tensors(file), NAME);
    ck_assert_int_eq(safetensors_read(file, a, out, &err), ERR_MODEL_INVALID);
    ck_assert_ptr_nonnull(
        strstr(err.message, "tensor model." NAME " holds NaN or infinity at index 1"));
    safetensors_close(file);
}

/* Fault 55. */
START_TEST(values_that_are_not_finite_are_refused)
{
    folder_make(folder);
    check_not_finite("F32", (const float[]){0, NAN}, 8);
    check_not_finite("F32", (const float[]){0, -INFINITY}, 8);
    check_not_finite("F16", (const uint16_t[]){0, 0x7c00}, 4);
    check_not_finite("F16", (const uint16_t[]){0, 0xfe00}, 4);
    check_not_finite("BF16", (const uint16_t[]){0, 0xff80}, 4);
    check_not_finite("BF16", (const uint16_t[]){0, 0x7fc0}, 4);
    folder_remove(folder);
}
END_TEST

/* Fault 58. */
START_TEST(what_is_no_regular_file_is_refused_at_once)
{
    struct safetensors *file;
    struct error err;
    folder_make(folder);
    ck_assert_int_eq(mkfifo(folder_file(folder, "fifo"), 0600), 0);
    ck_assert_int_eq(safetensors_open(&file, folder_file(folder, "fifo"), &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "not a regular file"));
    ck_assert_int_eq(safetensors_open(&file, folder, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "not a regular file"));
    ck_assert_int_eq(safetensors_open(&file, folder_file(folder, "none"), &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "No such file"));
    ck_assert_int_eq(symlink("loop", folder_file(folder, "loop")), 0);
    ck_assert_int_eq(safetensors_open(&file, folder_file(folder, "loop"), &err), ERR_IO);
    if (geteuid() != 0) {
        folder_put_text(folder, "secret", "");
        ck_assert_int_eq(chmod(folder_file(folder, "secret"), 0), 0);
        ck_assert_int_eq(safetensors_open(&file, folder_file(folder, "secret"), &err), ERR_IO);
    }
    folder_remove(folder);
}
END_TEST

START_TEST(every_cut_is_refused)
{
    struct safetensors *file;
    char bytes[1024];
    folder_make(folder);
    safetensors_close(open_bytes("F32", 2, (const float[]){1, 2}, 8));
    FILE *whole = fopen(folder_file(folder, "f"), "rb");
    size_t length = fread(bytes, 1, sizeof bytes, whole);
    fclose(whole);
    for (size_t cut = 0; cut < length; cut++) {
        folder_put(folder, "f", bytes, cut);
        ck_assert_int_eq(safetensors_open(&file, folder_file(folder, "f"), NULL),
                         ERR_MODEL_INVALID);
    }
    folder_remove(folder);
}
END_TEST

START_TEST(a_file_cut_after_opening_is_an_error_not_a_signal)
{
    float out[2];
    char sum[SAFETENSORS_SHA256_TEXT];
    folder_make(folder);
    struct safetensors *file = open_bytes("F32", 2, (const float[]){1, 2}, 8);
    const struct tensor_info *a = tensor_table_find(safetensors_tensors(file), NAME);
    ck_assert_int_eq(truncate(folder_file(folder, "f"), 20), 0);
    ck_assert_int_eq(safetensors_read(file, a, out, NULL), ERR_IO);
    ck_assert_int_eq(safetensors_sha256(file, sum, NULL), ERR_IO);
    safetensors_close(file);
    folder_remove(folder);
}
END_TEST

START_TEST(a_file_changed_after_opening_has_no_sum)
{
    char sum[SAFETENSORS_SHA256_TEXT];
    struct error err;
    folder_make(folder);
    struct safetensors *file = open_bytes("F32", 2, (const float[]){1, 2}, 8);
    ck_assert_int_eq(safetensors_sha256(file, sum, &err), ERR_OK);
    const struct timespec times[2] = {{1, 0}, {1, 0}};
    ck_assert_int_eq(utimensat(AT_FDCWD, folder_file(folder, "f"), times, 0), 0);
    ck_assert_int_eq(safetensors_sha256(file, sum, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "changed"));
    safetensors_close(file);
    folder_remove(folder);
}
END_TEST

START_TEST(the_sum_is_that_of_the_whole_file)
{
    /* sha256sum of the bytes 2, 0 (seven times), '{', '}' */
    const char *expected = "411a485216e432ece6b9af94fa32154c"
                           "f79a2a56d4f81266baa50063f45092bd";
    char sum[SAFETENSORS_SHA256_TEXT];
    struct safetensors *file;
    folder_make(folder);
    folder_put(folder, "f", "\2\0\0\0\0\0\0\0{}", 10);
    ck_assert_int_eq(safetensors_open(&file, folder_file(folder, "f"), NULL), ERR_OK);
    ck_assert_int_eq(safetensors_sha256(file, sum, NULL), ERR_OK);
    ck_assert_str_eq(sum, expected);
    safetensors_close(file);
    folder_remove(folder);
}
END_TEST

static void write_two(size_t values, int expected)
{
    struct tensor_info tensors[] = {
        {.name = "w", .type = TENSOR_F32, .rank = 2, .shape = {2, 3}},
        {.name = "n", .type = TENSOR_F32, .rank = 1, .shape = {1}},
    };
    const float numbers[] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct safetensors_writer *writer;
    const char *path = folder_file(folder, "w");
    ck_assert_int_eq(safetensors_writer_create(&writer, path, tensors, 2, NULL), ERR_OK);
    ck_assert_int_eq(safetensors_writer_put(writer, numbers, 4, NULL), ERR_OK);
    ck_assert_int_eq(safetensors_writer_put(writer, numbers + 1, (values - 1) * 4, NULL), ERR_OK);
    ck_assert_int_eq(safetensors_writer_finish(writer, NULL), expected);
}

START_TEST(what_is_written_is_read_back)
{
    struct safetensors *file;
    float out[6];
    folder_make(folder);
    write_two(7, ERR_OK);
    ck_assert_int_eq(safetensors_open(&file, folder_file(folder, "w"), NULL), ERR_OK);
    const struct tensor_info *w = tensor_table_find(safetensors_tensors(file), "w");
    ck_assert_int_eq(safetensors_read(file, w, out, NULL), ERR_OK);
    for (int i = 0; i < 6; i++)
        ck_assert_float_eq(out[i], (float)(i + 1));
    ck_assert_uint_eq(safetensors_tensors(file)->data_start % 8, 0);
    safetensors_close(file);
    folder_remove(folder);
}
END_TEST

START_TEST(a_writer_keeps_its_announcement_and_existing_files)
{
    struct safetensors_writer *writer;
    folder_make(folder);
    write_two(6, ERR_INTERNAL);
    ck_assert_int_ne(access(folder_file(folder, "w"), F_OK), 0);
    write_two(8, ERR_INTERNAL);
    write_two(7, ERR_OK);
    ck_assert_int_eq(safetensors_writer_create(&writer, folder_file(folder, "w"), NULL, 0, NULL),
                     ERR_IO);
    ck_assert_int_eq(access(folder_file(folder, "w"), F_OK), 0);
    folder_remove(folder);
}
END_TEST

START_TEST(a_long_shape_is_cut_in_text)
{
    char text[SAFETENSORS_SHAPE_TEXT];
    struct tensor_info tensor = {.rank = 2, .shape = {64, 3}};
    ck_assert_str_eq(tensor_shape_text(&tensor, text), "[64, 3]");
    tensor.rank = SAFETENSORS_MAX_RANK;
    for (int i = 0; i < tensor.rank; i++)
        tensor.shape[i] = SIZE_MAX;
    ck_assert_uint_lt(strlen(tensor_shape_text(&tensor, text)), SAFETENSORS_SHAPE_TEXT);
}
END_TEST

TEST_MAIN("model/safetensors", 20, a_good_header_is_read, bad_headers_are_refused,
          nul_padding_is_refused, too_many_tensors_are_refused, a_wrong_header_length_is_refused,
          every_type_is_read_exactly, values_that_are_not_finite_are_refused,
          what_is_no_regular_file_is_refused_at_once, every_cut_is_refused,
          a_file_cut_after_opening_is_an_error_not_a_signal,
          a_file_changed_after_opening_has_no_sum, the_sum_is_that_of_the_whole_file,
          what_is_written_is_read_back, a_writer_keeps_its_announcement_and_existing_files,
          a_long_shape_is_cut_in_text)
