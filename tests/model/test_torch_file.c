/* Files in the form before PyTorch 1.6, written byte by byte; tests/tool/test_import.py has whole
 * ones, and zip archives. */
#include "model/torch_file.h"

#include <math.h>

#include "tests/model/folder.h"
#include "tests/suite.h"

/* A file while it is written. */
struct text {
    char bytes[2048];
    size_t length;
};

static void put(struct text *t, const void *bytes, size_t length)
{
    ck_assert_uint_le(t->length + length, sizeof t->bytes);
    memcpy(t->bytes + t->length, bytes, length);
    t->length += length;
}

/* Of a string literal with NULs. */
#define PUT(t, literal) put(t, literal, sizeof(literal) - 1)

static void put_long(struct text *t, int64_t n)
{
    PUT(t, "\x8a\x08");
    put(t, &n, sizeof n);
}

static void put_longs(struct text *t, const int64_t *numbers, size_t count)
{
    PUT(t, "(");
    for (size_t i = 0; i < count; i++)
        put_long(t, numbers[i]);
    PUT(t, "t");
}

static void put_head(struct text *t, bool little_endian)
{
    PUT(t, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.");
    PUT(t, "\x80\x02M\xe9\x03.");
    PUT(t, "\x80\x02}X\x0d\x00\x00\x00little_endian");
    put(t, little_endian ? "\x88" : "\x89", 1);
    PUT(t, "s.");
}

/* What a file holds: one tensor, and the numbers of its storage "k". */
struct sample {
    const char *storage; /* "FloatStorage" */
    int64_t numel;       /* as the pickle has it */
    int64_t offset, shape[2], stride[2];
    int64_t count;     /* as the numbers have it */
    const void *bytes; /* of the numbers */
    size_t length;
};

static void put_tensor(struct text *t, const struct sample *s)
{
    PUT(t, "\x80\x02"
           "ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n");
    put(t, s->storage, strlen(s->storage));
    PUT(t, "\nX\x01\x00\x00\x00kX\x03\x00\x00\x00"
           "cpu");
    put_long(t, s->numel);
    PUT(t, "NtQ");
    put_long(t, s->offset);
    put_longs(t, s->shape, 2);
    put_longs(t, s->stride, 2);
    PUT(t, "\x89}tR.");
}

static void put_file(struct text *t, const struct sample *s)
{
    put_head(t, true);
    put_tensor(t, s);
    PUT(t, "\x80\x02]X\x01\x00\x00\x00ka.");
    put(t, &s->count, sizeof s->count);
    put(t, s->bytes, s->length);
}

static int open_text(struct torch_file **out, const struct text *t, struct error *err)
{
    char folder[FOLDER_PATH];
    folder_make(folder);
    folder_put(folder, "a.pth", t->bytes, t->length);
    int code = torch_file_open(out, folder_file(folder, "a.pth"), err);
    folder_remove(folder);
    return code;
}

/* Opens a sample's file and reads its tensor, of at most 8 elements. */
static int read_sample(const struct sample *s, float out[8], struct error *err)
{
    struct text t = {.length = 0};
    struct torch_file *file;
    struct torch_tensor tensor;
    put_file(&t, s);
    int code = open_text(&file, &t, err);
    if (code != ERR_OK)
        return code;
    ck_assert(torch_is_tensor(torch_file_root(file)));
    code = torch_file_tensor(file, torch_file_root(file), "a", &tensor, err);
    if (code == ERR_OK) {
        ck_assert_uint_le(tensor.elements, 8);
        code = torch_file_read(file, &tensor, "a", out, err);
    }
    torch_file_close(file);
    return code;
}

static const float six[] = {0, 1, 2, 3, 4, 5};
static const double six_doubles[] = {0, 1, 2, 3, 4, 5};
static const uint16_t six_halves[] = {0, 0x3c00, 0x4000, 0x4200, 0x4400, 0x4500};
static const uint16_t six_bfloats[] = {0, 0x3f80, 0x4000, 0x4040, 0x4080, 0x40a0};

static const struct {
    const char *storage;
    const void *bytes;
    size_t length;
} types[] = {
    {"FloatStorage", six, sizeof six},
    {"DoubleStorage", six_doubles, sizeof six_doubles},
    {"HalfStorage", six_halves, sizeof six_halves},
    {"BFloat16Storage", six_bfloats, sizeof six_bfloats},
};

/* [2, 3] in order, transposed, every second, and the same number again and again. */
static const struct {
    int64_t offset, shape[2], stride[2];
    float wanted[6];
} views[] = {
    {0, {2, 3}, {3, 1}, {0, 1, 2, 3, 4, 5}},
    {0, {3, 2}, {1, 3}, {0, 3, 1, 4, 2, 5}},
    {1, {1, 3}, {9, 2}, {1, 3, 5}},
    {5, {2, 2}, {0, 0}, {5, 5, 5, 5}},
    {6, {0, 3}, {3, 1}, {0}},
};

START_TEST(views_of_each_type_are_read)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        for (size_t v = 0; v < sizeof views / sizeof views[0]; v++) {
            float got[8] = {-1};
            struct sample s = {.storage = types[i].storage,
                               .numel = 6,
                               .offset = views[v].offset,
                               .count = 6,
                               .bytes = types[i].bytes,
                               .length = types[i].length};
            memcpy(s.shape, views[v].shape, sizeof s.shape);
            memcpy(s.stride, views[v].stride, sizeof s.stride);
            ck_assert_int_eq(read_sample(&s, got, NULL), ERR_OK);
            for (int64_t n = 0; n < s.shape[0] * s.shape[1]; n++)
                ck_assert(got[n] == views[v].wanted[n]);
        }
}
END_TEST

static const float not_finite[] = {0, 1, 2, INFINITY, 4, 5};
static const double too_large[] = {0, 1, 2, 3, 4, 1e39};

#define PLAIN .shape = {2, 3}, .stride = {3, 1}
#define SIX   .numel = 6, .count = 6, .bytes = six, .length = sizeof six
static const struct {
    struct sample sample;
    const char *says;
} bad[] = {
    {{"FloatStorage", SIX, .shape = {2, 3}, .stride = {3, 2}}, "larger than its storage"},
    {{"FloatStorage", SIX, PLAIN, .offset = 1}, "larger than its storage"},
    {{"FloatStorage", SIX, PLAIN, .offset = INT64_MAX}, "larger than its storage"},
    {{"FloatStorage", SIX, .shape = {2, 3}, .stride = {INT64_MAX, 1}}, "larger than its storage"},
    {{"FloatStorage", SIX, .shape = {INT64_MAX, INT64_MAX}, .stride = {0, 0}},
     "larger than its storage"},
    {{"FloatStorage", SIX, .shape = {-1, 3}, .stride = {3, 1}}, "unknown way"},
    {{"FloatStorage", SIX, .shape = {2, 3}, .stride = {-3, 1}}, "unknown way"},
    {{"FloatStorage", SIX, PLAIN, .offset = -1}, "unknown way"},
    {{"FloatStorage", PLAIN, .numel = 7, .count = 6, .bytes = six, .length = sizeof six},
     "numbers that are announced"},
    {{"FloatStorage", PLAIN, .numel = 7, .count = 7, .bytes = six, .length = sizeof six},
     "complete"},
    {{"FloatStorage", PLAIN, .numel = INT64_MAX, .count = INT64_MAX, .bytes = six, .length = 24},
     "complete"},
    {{"FloatStorage", PLAIN, .numel = -1, .count = -1, .bytes = six, .length = 24}, "unknown way"},
    {{"FloatStorage", PLAIN, .numel = 6, .count = 6, .bytes = not_finite, .length = 24}, "index 3"},
    {{"DoubleStorage", PLAIN, .numel = 6, .count = 6, .bytes = too_large, .length = 48}, "index 5"},
    {{"IntStorage", SIX, PLAIN}, "type I32"},
    {{"QInt8Storage", SIX, PLAIN}, "quantized"},
    {{"Float8Storage", SIX, PLAIN}, "torch.Float8Storage"},
};

START_TEST(bad_tensors_are_refused)
{
    float out[8];
    struct error err;
    ck_assert_int_ne(read_sample(&bad[_i].sample, out, &err), ERR_OK);
    ck_assert_msg(strstr(err.message, bad[_i].says), "%s: %s", bad[_i].says, err.message);
}
END_TEST

START_TEST(other_byte_orders_are_refused)
{
    struct text t = {.length = 0};
    struct torch_file *file;
    struct error err;
    put_head(&t, false);
    ck_assert_int_eq(open_text(&file, &t, &err), ERR_MODEL_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.message, "little-endian"));
}
END_TEST

START_TEST(every_cut_is_refused)
{
    struct sample s = {"FloatStorage", SIX, PLAIN};
    struct text whole = {.length = 0};
    struct torch_file *file;
    struct error err;
    put_file(&whole, &s);
    for (struct text t = whole; t.length > 0;) {
        t.length--;
        ck_assert_int_ne(open_text(&file, &t, &err), ERR_OK);
    }
}
END_TEST

static void add_cases(TCase *cases)
{
    tcase_add_test(cases, views_of_each_type_are_read);
    tcase_add_loop_test(cases, bad_tensors_are_refused, 0, sizeof bad / sizeof bad[0]);
    tcase_add_test(cases, other_byte_orders_are_refused);
    tcase_add_test(cases, every_cut_is_refused);
}

int main(void)
{
    return suite_run("model/torch_file", add_cases, 30);
}
