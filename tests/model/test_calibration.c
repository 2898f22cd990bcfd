#include "model/calibration.h"

#include <math.h>

#include "model/init.h"
#include "model/model.h"
#include "model/observer.h"
#include "tests/model/folder.h"
#include "tests/random.h"
#include "tests/suite.h"

#define SHA       "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OF_PIXELS "\"mean\": [0.5, 0.25, 0.1], \"std\": [1, 2, 3], "
#define HEAD                                                                                       \
    "{\"version\": 1, \"weights_sha256\": \"" SHA "\", " OF_PIXELS "\"method\": \"mse\", "         \
    "\"images\": 9"
#define CONV  "\"conv1\": {\"scale\": [0.1, 0.25], \"zero\": 0, \"mean\": [1, -2]}"
#define LAST  "\"layer1.0.conv1\": {\"scale\": 0.5, \"zero\": [1, 128, 255], \"mean\": 0}"
#define POOL  "\"avg_pool\": {\"scale\": 1e-3, \"zero\": 0, \"mean\": [0, 1, 2]}"
#define WHOLE HEAD ", \"layers\": {" CONV ", " LAST ", " POOL "}}"

/* Version 2. The roundings are of 6 and 24 weights. */
#define HEAD_2                                                                                     \
    "{\"version\": 2, \"weights_sha256\": \"" SHA "\", " OF_PIXELS "\"method\": \"mse\", "         \
    "\"images\": 9"
#define ROUNDED(of, bits) "\"" of "\": {\"rounding\": \"" bits "\""
#define CONV_2            ROUNDED("conv1", "Kw==") ", \"scale\": [0.1, 0.25], \"zero\": 0, \"mean\": [1, -2]}"
#define LAST_2                                                                                     \
    ROUNDED("layer1.0.conv1", "Af+A") ", \"scale\": 0.5, \"zero\": [1, 128, 255], \"mean\": 0}"
#define WHOLE_2 HEAD_2 ", \"layers\": {" CONV_2 ", " LAST_2 "}}"

/* With a cascade. */
#define CASCADE ", \"cascade\": {\"margin\": 0.61, \"agreement\": 0.995, \"fraction\": 0.041}"
#define WHOLE_3 HEAD_2 CASCADE ", \"layers\": {" CONV_2 ", " LAST_2 "}}"

#define KERNELS(in, out, side)                                                                     \
    {                                                                                              \
        .in_c = (in), .out_c = (out), .kernel = (side), .groups = 1                                \
    }

enum { LAYERS = 5 };
static const struct layer layers[LAYERS] = {
    {.kind = LAYER_CONV, .name = "conv1", .shape = KERNELS(3, 2, 1), .relu = true},
    {.kind = LAYER_MAX_POOL, .shape = {.out_c = 2}},
    {.kind = LAYER_CONV, .name = "layer1.0.conv1", .shape = KERNELS(2, 3, 2)},
    {.kind = LAYER_GLOBAL_POOL, .shape = {.out_c = 3}},
    {.kind = LAYER_LINEAR, .name = "fc", .shape = KERNELS(3, 5, 1)},
};

static int parse(const char *text, struct calibration *out, struct error *err)
{
    return calibration_parse(out, layers, LAYERS, text, strlen(text), err);
}

static const uint8_t conv_bits[] = {0x2b}, last_bits[] = {1, 255, 128};

static void check_roundings(const struct calibration *c)
{
    ck_assert_mem_eq(c->layers[0].rounding, conv_bits, sizeof conv_bits);
    ck_assert_ptr_null(c->layers[1].rounding);
    ck_assert_mem_eq(c->layers[2].rounding, last_bits, sizeof last_bits);
    ck_assert_ptr_null(c->layers[3].rounding);
    ck_assert_ptr_null(c->layers[4].rounding);
}

static void check_numbers(const struct calibration *c)
{
    ck_assert_str_eq(c->sha256, SHA);
    ck_assert_str_eq(c->method, "mse");
    ck_assert_int_eq(c->images, 9);
    ck_assert(c->mean[0] == 0.5F && c->mean[2] == 0.1F && c->std[2] == 3);
    ck_assert(c->layers[0].scale[1] == 0.25F && c->layers[0].mean[1] == -2);
    ck_assert(c->layers[0].zero[0] == 0 && c->layers[0].zero[1] == 0);
    ck_assert_ptr_null(c->layers[1].scale);
    ck_assert(c->layers[2].scale[0] == 0.5F && c->layers[2].scale[2] == 0.5F);
    ck_assert(c->layers[2].zero[1] == 128 && c->layers[2].mean[2] == 0);
    ck_assert_ptr_null(c->layers[3].scale); /* what an earlier version wrote is ignored */
    ck_assert_ptr_null(c->layers[4].scale);
}

START_TEST(a_whole_file_is_read)
{
    struct calibration c;
    struct error err;
    ck_assert_msg(parse(WHOLE, &c, &err) == ERR_OK, "%s", err.message);
    check_numbers(&c);
    calibration_destroy(&c);
}
END_TEST

START_TEST(roundings_are_read)
{
    struct calibration c;
    struct error err;
    ck_assert_msg(parse(WHOLE_2, &c, &err) == ERR_OK, "%s", err.message);
    check_numbers(&c);
    check_roundings(&c);
    calibration_destroy(&c);
}
END_TEST

static void check_cascade(const struct calibration *c)
{
    ck_assert(c->cascade.margin == 0.61);
    ck_assert(c->cascade.agreement == 0.995);
    ck_assert(c->cascade.fraction == 0.041);
}

START_TEST(a_cascade_is_read)
{
    struct calibration c;
    struct error err;
    ck_assert_msg(parse(WHOLE_3, &c, &err) == ERR_OK, "%s", err.message);
    check_numbers(&c);
    check_cascade(&c);
    calibration_destroy(&c);
    ck_assert_int_eq(parse(WHOLE_2, &c, NULL), ERR_OK);
    ck_assert(c.cascade.margin == 0 && c.cascade.agreement == 0 && c.cascade.fraction == 0);
    calibration_destroy(&c);
}
END_TEST

/* Each layer may have one or not. */
START_TEST(version_2_needs_no_rounding)
{
    struct calibration c;
    struct error err;
    ck_assert_msg(parse(HEAD_2 ", \"layers\": {" CONV ", " LAST_2 "}}", &c, &err) == ERR_OK, "%s",
                  err.message);
    check_numbers(&c);
    ck_assert_ptr_null(c.layers[0].rounding);
    ck_assert_mem_eq(c.layers[2].rounding, last_bits, sizeof last_bits);
    ck_assert_ptr_null(c.layers[4].rounding);
    calibration_destroy(&c);
}
END_TEST

START_TEST(a_file_may_be_as_long_as_its_network_needs)
{
    struct layer large = layers[0];
    ck_assert_uint_eq(calibration_file_max(layers, LAYERS), (64 << 20) + 4 + 4);
    large.shape.in_c = 1 << 15;
    large.shape.out_c = 1 << 15;
    ck_assert_uint_eq(calibration_file_max(&large, 1), (64 << 20) + ((1 << 27) + 2) / 3 * 4);
}
END_TEST

/* Writes it, and reads it again. */
static void write_and_read(struct calibration *c)
{
    char folder[FOLDER_PATH];
    char text[4096];
    folder_make(folder);
    const char *path = folder_file(folder, "calibration.json");
    for (int twice = 0; twice < 2; twice++) /* the second takes the first one's place */
        ck_assert_int_eq(calibration_write(c, layers, LAYERS, path, NULL), ERR_OK);
    calibration_destroy(c);
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    size_t length = fread(text, 1, sizeof text, f);
    fclose(f);
    ck_assert_int_eq(calibration_parse(c, layers, LAYERS, text, length, NULL), ERR_OK);
    folder_remove(folder);
}

static void check_written(const char *whole, struct calibration *c)
{
    ck_assert_int_eq(parse(whole, c, NULL), ERR_OK);
    write_and_read(c);
    check_numbers(c);
}

START_TEST(what_is_written_is_read)
{
    struct calibration c;
    check_written(WHOLE_2, &c);
    check_roundings(&c);
    ck_assert(c.cascade.margin == 0);
    calibration_destroy(&c);
    check_written(WHOLE_3, &c);
    check_cascade(&c);
    calibration_destroy(&c);
}
END_TEST

static const struct cascade cascades[] = {
    {0.1F, 0.9999997, 1.0 / 3}, {0.61, 0.995, 0.041},        {1e-30, 0.5, 0}, {1e30, 1, 1},
    {0x1p-40F, 2.0 / 3, 1},     {3, nextafter(1, 0), 1e-17},
};

START_TEST(a_cascade_is_read_as_it_was_written)
{
    struct calibration c;
    ck_assert_int_eq(parse(WHOLE_2, &c, NULL), ERR_OK);
    for (size_t i = 0; i < sizeof cascades / sizeof cascades[0]; i++) {
        c.cascade = cascades[i];
        ck_assert(calibration_cascade_is_sane(&c.cascade));
        write_and_read(&c);
        ck_assert_mem_eq(&c.cascade, &cascades[i], sizeof cascades[i]);
    }
    calibration_destroy(&c);
}
END_TEST

/* That the reader refuses them, a_damaged_cascade_is_refused shows. */
START_TEST(what_no_file_may_have_is_not_sane)
{
    static const struct cascade none[] = {
        {0, 0.9, 0.1},        {9e-31, 0.9, 0.1}, {1.1e30, 0.9, 0.1},
        {INFINITY, 0.9, 0.1}, {NAN, 0.9, 0.1},   {1, 0.49, 0.1},
        {1, 1.1, 0.1},        {1, 0.9, -0.1},    {1, 0.9, 1.1},
    };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        ck_assert_msg(!calibration_cascade_is_sane(&none[i]), "case %zu", i);
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_an_error)
{
    struct calibration c;
    struct error err;
    ck_assert_int_eq(parse(WHOLE, &c, NULL), ERR_OK);
    ck_assert_int_eq(calibration_write(&c, layers, LAYERS, "/nonexistent/c.json", &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "/nonexistent/c.json"));
    calibration_destroy(&c);
}
END_TEST

/* `from` of a whole file replaced by `to`. */
struct damage {
    const char *from, *to, *says;
    int code;
};

static const struct damage bad[] = {
    {"\"version\": 1", "\"version\": 3", "version is 3", ERR_MODEL_UNSUPPORTED},
    {"\"version\": 1", "\"version\": 0", "version is 0", ERR_MODEL_UNSUPPORTED},
    {"\"mean\": [1, -2]", "\"mean\": 1, \"rounding\": \"Kw==\"",
     "layer conv1: rounding: version 1 has none", ERR_MODEL_INVALID},
    {"\"version\": 1, ", "", "version is missing", ERR_MODEL_INVALID},
    {SHA, "ABCD", "weights_sha256", ERR_MODEL_INVALID},
    {"\"mse\"", "\"\"", "method", ERR_MODEL_INVALID},
    {"\"mse\"", "\"m\\u001be\"", "method", ERR_MODEL_INVALID},
    {"\"images\": 9", "\"images\": 0", "images", ERR_MODEL_INVALID},
    {"\"images\": 9", "\"images\": 9.5", "images", ERR_MODEL_INVALID},
    {"\"images\": 9", "\"images\": 9, \"more\": 1", "unknown key", ERR_MODEL_INVALID},
    {"\"layers\": {", "\"layers\": [], \"x\": {", "unknown key", ERR_MODEL_INVALID},
    {"\"mean\": [0.5, 0.25, 0.1], ", "", "mean is missing", ERR_MODEL_INVALID},
    {"[1, 2, 3]", "[1, 2]", "std: 2 numbers for 3 channels", ERR_MODEL_INVALID},
    {"[1, 2, 3]", "[1, 2, 1e300]", "std: not a number", ERR_MODEL_INVALID},
    {"[1, 2, 3]", "[1, 2, \"3\"]", "std: not a number", ERR_MODEL_INVALID},
    {CONV ", ", "", "layer conv1", ERR_MODEL_INVALID},
    {CONV ", ", CONV ", \"fc\": {}, ", "4 layers, but the network has 3", ERR_MODEL_INVALID},
    {CONV ", ", CONV ", " CONV ", ", "duplicate", ERR_MODEL_INVALID},
    {"[0.1, 0.25]", "[0.1]", "1 numbers for 2 channels", ERR_MODEL_INVALID},
    {"[0.1, 0.25]", "[0.1, 0.25, 1]", "3 numbers for 2 channels", ERR_MODEL_INVALID},
    {"[0.1, 0.25]", "[0.1, 0]", "layer conv1: scale", ERR_MODEL_INVALID},
    {"[0.1, 0.25]", "[0.1, -1]", "layer conv1: scale", ERR_MODEL_INVALID},
    {"[0.1, 0.25]", "[0.1, 1e300]", "layer conv1: scale", ERR_MODEL_INVALID},
    {"[0.1, 0.25]", "[0.1, 1e999]", "not valid JSON", ERR_MODEL_INVALID},
    {"[0.1, 0.25]", "[0.1, null]", "layer conv1: scale", ERR_MODEL_INVALID},
    {"[0.1, 0.25]", "[0.1, [1]]", "layer conv1: scale", ERR_MODEL_INVALID},
    {"[0.1, 0.25]", "\"1\"", "layer conv1: scale", ERR_MODEL_INVALID},
    {"\"scale\": [0.1, 0.25], ", "", "scale is missing", ERR_MODEL_INVALID},
    {"\"scale\": [0.1, 0.25], ", "\"scal\": 1, ", "scale is missing", ERR_MODEL_INVALID},
    {"\"mean\": [1, -2]", "\"mean\": 1, \"more\": 1", "layer conv1", ERR_MODEL_INVALID},
    {"\"mean\": [1, -2]", "\"mean\": [1, 1e30]", "layer conv1: mean", ERR_MODEL_INVALID},
    {"[1, 128, 255]", "[1, 128, 256]", "zero", ERR_MODEL_INVALID},
    {"[1, 128, 255]", "[1, 128, -1]", "zero", ERR_MODEL_INVALID},
    {"[1, 128, 255]", "[1, 128.5, 2]", "zero: not a whole number", ERR_MODEL_INVALID},
    {"\"zero\": 0, \"mean\": [1, -2]", "\"zero\": 3, \"mean\": 0", "conv1: zero",
     ERR_MODEL_INVALID},
    {"}}}", "}}", "not valid JSON", ERR_MODEL_INVALID},
    {"}}}", "}}} x", "not valid JSON", ERR_MODEL_INVALID},
};

static const struct damage bad_rounding[] = {
    {"\"version\": 2", "\"version\": 1", "conv1: rounding: version 1 has none", ERR_MODEL_INVALID},
    {"\"Kw==\"", "7", "conv1: rounding: not the base64 of 1 bytes", ERR_MODEL_INVALID},
    {"\"Kw==\"", "null", "conv1: rounding", ERR_MODEL_INVALID},
    {"\"Kw==\"", "[\"Kw==\"]", "conv1: rounding", ERR_MODEL_INVALID},
    {"Kw==", "", "a bit for each of 6 weights", ERR_MODEL_INVALID},
    {"Kw==", "Kw=", "conv1: rounding", ERR_MODEL_INVALID},
    {"Kw==", "Kw", "conv1: rounding", ERR_MODEL_INVALID},
    {"Kw==", "KwA=", "conv1: rounding", ERR_MODEL_INVALID},
    {"Kw==", "KwAA", "conv1: rounding", ERR_MODEL_INVALID},
    {"Kw==", "K w=", "conv1: rounding", ERR_MODEL_INVALID},
    {"Kw==", "K\\n==", "conv1: rounding", ERR_MODEL_INVALID},
    {"Kw==", "K\\u00e9w", "conv1: rounding", ERR_MODEL_INVALID},
    {"Kw==", "K-==", "conv1: rounding", ERR_MODEL_INVALID},
    {"Kw==", "====", "conv1: rounding", ERR_MODEL_INVALID},
    {"Kw==", "Kw==Kw==", "conv1: rounding", ERR_MODEL_INVALID},
    {"Kw==", "QA==", "rounding: bits after those of 6 weights", ERR_MODEL_INVALID},
    {"Kw==", "gA==", "rounding: bits after those of 6 weights", ERR_MODEL_INVALID},
    {"Af+A", "Af+", "layer1.0.conv1: rounding", ERR_MODEL_INVALID},
    {"Af+A", "Af+=", "layer1.0.conv1: rounding", ERR_MODEL_INVALID},
    {LAST_2, LAST_2 ", " POOL, "3 layers, but the network has 2", ERR_MODEL_INVALID},
    {LAST_2, LAST_2 ", " ROUNDED("fc", "VUA=") "}", "3 layers, but the network has 2",
     ERR_MODEL_INVALID},
    {LAST_2, ROUNDED("layer1.0.conv1", "Af+A") "}", "layer1.0.conv1: scale is missing",
     ERR_MODEL_INVALID},
    {LAST_2, "\"layer1.0.conv1\": 1", "layer1.0.conv1: not an object", ERR_MODEL_INVALID},
    {"\"scale\": 0.5", "\"scale\": 0.5, \"more\": 1", "not an object of scale, zero and mean, and",
     ERR_MODEL_INVALID},
};

static const struct damage bad_cascade[] = {
    {"\"version\": 2", "\"version\": 1", "unknown key", ERR_MODEL_INVALID},
    {CASCADE, ", \"cascade\": null", "cascade: not an object", ERR_MODEL_INVALID},
    {CASCADE, ", \"cascade\": 0.61", "cascade: not an object", ERR_MODEL_INVALID},
    {CASCADE, ", \"cascade\": {\"margin\": 1}", "cascade: not an object", ERR_MODEL_INVALID},
    {"0.041}", "0.041, \"more\": 1}", "cascade: not an object", ERR_MODEL_INVALID},
    {"0.61", "0", "cascade: margin: not a number of 1e-30 to 1e+30", ERR_MODEL_INVALID},
    {"0.61", "-0.61", "cascade: margin", ERR_MODEL_INVALID},
    {"0.61", "1e31", "cascade: margin", ERR_MODEL_INVALID},
    {"0.61", "\"0.61\"", "cascade: margin", ERR_MODEL_INVALID},
    {"\"margin\"", "\"margins\"", "cascade: margin", ERR_MODEL_INVALID},
    {"0.995", "0.4", "cascade: agreement: not a number of 0.5 to 1", ERR_MODEL_INVALID},
    {"0.995", "99.5", "cascade: agreement", ERR_MODEL_INVALID},
    {"0.041", "-0.1", "cascade: fraction: not a number of 0 to 1", ERR_MODEL_INVALID},
    {"0.041", "4.1", "cascade: fraction", ERR_MODEL_INVALID},
    {"0.041", "[0.041]", "cascade: fraction", ERR_MODEL_INVALID},
};

static void check_damage(const char *whole, const struct damage *damage, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[2048];
        struct calibration c;
        struct error err = {0};
        const char *at = strstr(whole, damage[i].from);
        ck_assert_ptr_nonnull(at);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - whole), whole, damage[i].to,
                 at + strlen(damage[i].from));
        int code = parse(text, &c, &err);
        ck_assert_msg(code == damage[i].code, "case %zu: %d, %s", i, code, err.message);
        ck_assert_msg(strstr(err.message, damage[i].says), "case %zu: %s", i, err.message);
    }
}

START_TEST(a_damaged_file_is_refused)
{
    check_damage(WHOLE, bad, sizeof bad / sizeof bad[0]);
}
END_TEST

START_TEST(a_damaged_rounding_is_refused)
{
    check_damage(WHOLE_2, bad_rounding, sizeof bad_rounding / sizeof bad_rounding[0]);
}
END_TEST

START_TEST(a_damaged_cascade_is_refused)
{
    check_damage(WHOLE_3, bad_cascade, sizeof bad_cascade / sizeof bad_cascade[0]);
}
END_TEST

static char folder[FOLDER_PATH];

static int load(struct model **model, enum precision precision, const char *isa, struct error *err)
{
    struct model_options options = {.precision = precision};
    ck_assert(kernel_isas_select(isa, &options.isas));
    return model_load(model, folder, &options, err);
}

static void make_model(void)
{
    struct template t = folder_template();
    folder_make(folder);
    ck_assert_int_eq(model_init_folder(&t, 5, folder, NULL), ERR_OK);
}

static void put_random(const struct model *model, struct workspace *workspace, uint64_t seed)
{
    enum { PIXELS = 16 * 16 };
    uint8_t rgb[PIXELS * 3];
    uint64_t state = seed;
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)(random_next(&state) >> 56);
    model_put_image(model, workspace, 0, rgb);
}

enum { IMAGES = 20 };

/* Calibrates the model in `folder` on random pixels. */
static void calibrate(enum range_method method)
{
    struct model *model;
    struct observer *observer;
    struct workspace *workspace;
    struct calibration c;
    ck_assert_int_eq(load(&model, PRECISION_F32, "ref", NULL), ERR_OK);
    ck_assert_int_eq(workspace_create(&workspace, model->network, 1, NULL), ERR_OK);
    ck_assert_int_eq(observer_create(&observer, model->network, NULL), ERR_OK);
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 1; i <= IMAGES; i++) {
            put_random(model, workspace, i);
            observer_forward(observer, workspace);
        }
        if (round == 0)
            ck_assert_int_eq(observer_second_round(observer, NULL), ERR_OK);
    }
    ck_assert_int_eq(observer_choose(observer, method, &c, NULL), ERR_OK);
    c.images = IMAGES;
    calibration_bind(&c, model->sha256, model->preprocess.mean, model->preprocess.std);
    int code =
        calibration_write(&c, network_layer(model->network, 0), network_layer_count(model->network),
                          folder_file(folder, "calibration.json"), NULL);
    ck_assert_int_eq(code, ERR_OK);
    calibration_destroy(&c);
    observer_destroy(observer);
    workspace_destroy(workspace);
    model_destroy(model);
}

/* The logits of a picture that was not calibrated on, [5]. */
static void classify(enum precision precision, const char *isa, float logits[5])
{
    struct model *model;
    struct workspace *workspace;
    struct error err;
    ck_assert_msg(load(&model, precision, isa, &err) == ERR_OK, "%s", err.message);
    ck_assert_msg(model_self_test(model, &err) == ERR_OK, "%s", err.message);
    ck_assert_int_eq(workspace_create(&workspace, model->network, 1, NULL), ERR_OK);
    put_random(model, workspace, 99);
    memcpy(logits, network_forward(model->network, workspace, 1), 5 * sizeof *logits);
    workspace_destroy(workspace);
    model_destroy(model);
}

static double distance(const float *a, const float *b)
{
    double sum = 0, size = 0;
    for (int i = 0; i < 5; i++) {
        sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)a[i] * a[i];
    }
    return sqrt(sum / size);
}

START_TEST(int8_and_bf16_stay_near_float32)
{
    float exact[5], other[5];
    make_model();
    classify(PRECISION_F32, "ref", exact);
    classify(PRECISION_BF16, "ref", other);
    ck_assert_double_lt(distance(exact, other), 0.02);
    ck_assert_double_gt(distance(exact, other), 1e-7);
    for (enum range_method m = 0; m < RANGE_METHOD_COUNT; m++) {
        calibrate(m);
        classify(PRECISION_INT8, "ref", other);
        ck_assert_msg(distance(exact, other) < 0.1, "%s: %g", range_method_names[m],
                      distance(exact, other));
        ck_assert_double_gt(distance(exact, other), 1e-7);
    }
    folder_remove(folder);
}
END_TEST

START_TEST(int8_is_the_same_on_every_rung)
{
    float right[5], other[5];
    make_model();
    calibrate(RANGE_MSE);
    classify(PRECISION_INT8, "ref", right);
    for (const char *const *isa = kernel_isa_choices + 1; *isa; isa++) {
        struct kernel_isas isas;
        if (!kernel_isas_select(*isa, &isas))
            continue;
        classify(PRECISION_INT8, *isa, other);
        ck_assert_msg(memcmp(right, other, sizeof right) == 0, "%s differs", *isa);
    }
    folder_remove(folder);
}
END_TEST

START_TEST(a_calibration_changes_nothing_unasked)
{
    make_model();
    calibrate(RANGE_MINMAX);
    const struct model_options unsaid = {0};
    ck_assert_int_eq(unsaid.precision, PRECISION_F32);
    for (enum precision p = 0; p < PRECISION_COUNT; p++) {
        struct model *model;
        ck_assert_int_eq(load(&model, p, "ref", NULL), ERR_OK);
        ck_assert_int_eq(model->precision, p);
        model_destroy(model);
    }
    folder_remove(folder);
}
END_TEST

START_TEST(int8_needs_a_calibration_of_its_own)
{
    struct model *model;
    struct error err;
    struct template t = folder_template();
    make_model();
    ck_assert_int_eq(load(&model, PRECISION_INT8, "ref", &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.message, "calibration.json"));
    ck_assert_ptr_nonnull(strstr(err.message, "resnext calibrate"));
    calibrate(RANGE_MINMAX);
    remove(folder_file(folder, "model.safetensors"));
    remove(folder_file(folder, "config.json"));
    ck_assert_int_eq(model_init_folder(&t, 6, folder, NULL), ERR_OK);
    ck_assert_int_eq(load(&model, PRECISION_INT8, "ref", &err), ERR_MODEL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "is of other weights"));
    folder_put_text(folder, "calibration.json", WHOLE);
    ck_assert_int_eq(load(&model, PRECISION_INT8, "ref", &err), ERR_MODEL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "resnext calibrate"));
    ck_assert_int_eq(load(&model, PRECISION_F32, "ref", NULL), ERR_OK);
    model_destroy(model);
    folder_remove(folder);
}
END_TEST

/* What no pixel has is nothing that int8 could hold, however near; the picture stays as it was. */
static void check_out_of_range(const struct model *model, struct workspace *workspace,
                               float *numbers)
{
    static const float outside[] = {-2.01F, 2.01F, 3, -1e30F, 3e38F};
    struct error err;
    float kept = numbers[7];
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        numbers[7] = outside[i];
        int code = model_put_tensor(model, workspace, 1, numbers, &err);
        ck_assert_int_eq(code, model->precision == PRECISION_INT8 ? ERR_BAD_REQUEST : ERR_OK);
        if (code != ERR_OK)
            ck_assert_msg(strstr(err.message, "in channel 1; in int8 it can have -2 to 2") != NULL,
                          "%s", err.message);
    }
    numbers[7] = kept;
    ck_assert_int_eq(model_put_tensor(model, workspace, 1, numbers, NULL), ERR_OK);
}

/* The same pixels as bytes and as normalised numbers; the last map as float32 numbers. */
START_TEST(pictures_and_tensors_are_the_same_input)
{
    enum { SIZE = 16 * 16 * 3 };
    uint8_t rgb[SIZE];
    float numbers[SIZE], exact[SIZE], map[8 * 8 * 32], pooled[32];
    make_model();
    calibrate(RANGE_MSE);
    for (int i = 0; i < SIZE; i++) {
        rgb[i] = (uint8_t)(i * 7);
        numbers[i] = ((float)rgb[i] / 255 - 0.5F) / 0.25F;
    }
    for (enum precision p = 0; p < PRECISION_COUNT; p++) {
        struct model *model;
        struct workspace *workspace;
        ck_assert_int_eq(load(&model, p, "ref", NULL), ERR_OK);
        for (int c = 0; c < 3; c++) {
            model->preprocess.mean[c] = 0.5F;
            model->preprocess.std[c] = 0.25F;
        }
        ck_assert_int_eq(workspace_create(&workspace, model->network, 2, NULL), ERR_OK);
        size_t bytes = SIZE * precision_size(model->precision);
        model_put_image(model, workspace, 0, rgb);
        ck_assert_int_eq(model_put_tensor(model, workspace, 1, numbers, NULL), ERR_OK);
        check_out_of_range(model, workspace, numbers);
        const char *input = workspace_input(workspace);
        if (model->precision == PRECISION_INT8)
            ck_assert_mem_eq(input, rgb, SIZE);
        if (model->precision != PRECISION_F32)
            ck_assert_mem_eq(input, input + bytes, bytes);
        network_read_value(model->network, workspace, 0, 0, SIZE, exact);
        for (int i = 0; i < SIZE && model->precision == PRECISION_F32; i++)
            ck_assert_float_eq_tol(exact[i], numbers[i], 1e-6F);
        const float *logits = network_forward(model->network, workspace, 2);
        ck_assert(logits[0] == logits[5] || model->precision == PRECISION_F32);
        int last = (int)network_layer_count(model->network) - 1;
        int features = network_layer(model->network, (size_t)last - 1)->input;
        ck_assert_uint_eq(network_value_size(model->network, features), 8 * 8 * 32);
        struct workspace *one;
        ck_assert_int_eq(workspace_create(&one, model->network, 1, NULL), ERR_OK);
        put_random(model, one, 3);
        network_forward(model->network, one, 1);
        network_read_value(model->network, one, features, 0, 8 * 8 * 32, map);
        network_read_value(model->network, one, last, 0, 32, pooled);
        for (int c = 0; c < 32; c++) {
            double sum = 0, max = 0;
            for (int i = 0; i < 64; i++) {
                sum += map[i * 32 + c];
                max = fmax(max, fabsf(map[i * 32 + c]));
            }
            ck_assert_double_eq_tol(sum / 64, pooled[c], 0.02 * max + 1e-6);
        }
        workspace_destroy(one);
        workspace_destroy(workspace);
        model_destroy(model);
    }
    folder_remove(folder);
}
END_TEST

TEST_MAIN("model/calibration", 60, a_whole_file_is_read, what_is_written_is_read,
          roundings_are_read, version_2_needs_no_rounding,
          a_file_may_be_as_long_as_its_network_needs, a_folder_that_is_not_there_is_an_error,
          a_damaged_file_is_refused, a_damaged_rounding_is_refused, a_cascade_is_read,
          a_cascade_is_read_as_it_was_written, what_no_file_may_have_is_not_sane,
          a_damaged_cascade_is_refused, int8_and_bf16_stay_near_float32,
          int8_is_the_same_on_every_rung, a_calibration_changes_nothing_unasked,
          int8_needs_a_calibration_of_its_own, pictures_and_tensors_are_the_same_input)
