#include "nn/classifier.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/random.h"
#include "tests/suite.h"

enum { FEATURES = 300, CLASSES = 37, WEIGHTS = FEATURES * CLASSES };

static const struct layer layer = {
    .kind = LAYER_LINEAR, .name = "fc", .shape = {1, 1, FEATURES, 1, 1, CLASSES, 1, 1, 0, 1}};

static float weights[WEIGHTS], bias[CLASSES];

static void make(void)
{
    uint64_t seed = 9;
    random_floats(&seed, weights, WEIGHTS);
    random_floats(&seed, bias, CLASSES);
}

/* aligned_alloc wants whole multiples. */
static void *space(size_t size)
{
    void *p = aligned_alloc(64, (size + 63) / 64 * 64);
    ck_assert_ptr_nonnull(p);
    return p;
}

static void run(const char *isa, const float x[FEATURES], float y[CLASSES])
{
    struct kernel_isas isas;
    ck_assert(kernel_isas_select(isa, &isas));
    const struct conv_kernel *kernel = kernel_conv(isas, PRECISION_INT8, &layer.shape);
    void *packed = space(classifier_packed_size(kernel, &layer.shape));
    void *scratch = space(classifier_scratch_size(kernel, &layer.shape) + KERNEL_OVERREAD);
    ck_assert_int_eq(classifier_pack(kernel, &layer, weights, bias, packed, NULL), ERR_OK);
    classifier_run(kernel, &layer.shape, packed, x, y, scratch);
    free(packed);
    free(scratch);
}

/* One feature is a thousand times as large as the others, which would all be 0 as bytes. */
static void make_features(float x[FEATURES])
{
    uint64_t seed = 4;
    random_floats(&seed, x, FEATURES);
    for (int i = 0; i < FEATURES; i++)
        x[i] = fabsf(x[i]);
    x[7] = 1000;
}

/* Of a feature half a step of 1000/65535 may be lost, of a weight one 64th of half an int8 step. */
START_TEST(logits_are_those_of_the_numbers)
{
    float x[FEATURES], y[CLASSES];
    make();
    make_features(x);
    run("ref", x, y);
    for (int o = 0; o < CLASSES; o++) {
        double right = (double)bias[o], slack = 0;
        for (int c = 0; c < FEATURES; c++) {
            double weight = (double)weights[o * FEATURES + c];
            right += weight * (double)x[c];
            slack += fabs(weight) * 1000 / 65535 / 2 + (double)x[c] * (4.0 / 124 / 64 / 2);
        }
        ck_assert_double_eq_tol((double)y[o], right, slack + 1e-3);
    }
}
END_TEST

START_TEST(every_isa_computes_the_same_bits)
{
    float x[FEATURES], expected[CLASSES], y[CLASSES];
    make();
    make_features(x);
    run("ref", x, expected);
    for (size_t i = 0; kernel_isa_choices[i]; i++) {
        struct kernel_isas isas;
        if (!kernel_isas_select(kernel_isa_choices[i], &isas))
            continue;
        run(kernel_isa_choices[i], x, y);
        ck_assert_mem_eq(y, expected, sizeof y);
    }
}
END_TEST

START_TEST(without_features_the_bias_is_left)
{
    static const float tiny[] = {0, 0x1p-140F};
    float x[FEATURES], y[CLASSES];
    make();
    for (size_t t = 0; t < 2; t++) {
        for (int i = 0; i < FEATURES; i++)
            x[i] = tiny[t];
        run("auto", x, y);
        ck_assert_mem_eq(y, bias, sizeof y);
    }
}
END_TEST

/* All lower halves are as large as can be, and of one sign. */
START_TEST(lower_halves_do_not_saturate)
{
    float x[FEATURES], expected[CLASSES], y[CLASSES];
    make();
    for (int i = 0; i < WEIGHTS; i++)
        weights[i] = i % FEATURES == 0 ? 126 : 0.499F;
    for (int i = 0; i < FEATURES; i++)
        x[i] = 1;
    run("ref", x, expected);
    run("auto", x, y);
    ck_assert_mem_eq(y, expected, sizeof y);
    ck_assert_double_eq_tol((double)y[0], 126 + 0.499 * (FEATURES - 1) + (double)bias[0], 2.5);
}
END_TEST

START_TEST(weights_without_bounds_are_refused)
{
    struct kernel_isas isas;
    struct error err;
    make();
    weights[5] = INFINITY;
    ck_assert(kernel_isas_select("auto", &isas));
    const struct conv_kernel *kernel = kernel_conv(isas, PRECISION_INT8, &layer.shape);
    void *packed = space(classifier_packed_size(kernel, &layer.shape));
    ck_assert_int_eq(classifier_pack(kernel, &layer, weights, bias, packed, &err),
                     ERR_MODEL_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.message, "fc"));
    free(packed);
}
END_TEST

/* Each is finite, and their sum is not. There are more features than twice the classes. */
START_TEST(weights_may_be_large)
{
    struct kernel_isas isas;
    struct error err;
    memset(weights, 0, sizeof weights);
    for (int i = 0; i < 8; i++)
        weights[FEATURES - 40 + 8 * (i / 2) + i % 2] = 1e38F;
    ck_assert(kernel_isas_select("auto", &isas));
    const struct conv_kernel *kernel = kernel_conv(isas, PRECISION_INT8, &layer.shape);
    void *packed = space(classifier_packed_size(kernel, &layer.shape));
    int code = classifier_pack(kernel, &layer, weights, bias, packed, &err);
    ck_assert_msg(code == ERR_OK, "%s", err.message);
    free(packed);
}
END_TEST

TEST_MAIN("nn/classifier", 10, logits_are_those_of_the_numbers, every_isa_computes_the_same_bits,
          without_features_the_bias_is_left, lower_halves_do_not_saturate,
          weights_without_bounds_are_refused, weights_may_be_large)
