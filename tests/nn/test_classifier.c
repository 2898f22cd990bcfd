#include "nn/classifier.h"

#include <math.h>
#include <stdlib.h>

#include "tests/random.h"
#include "tests/suite.h"

enum { FEATURES = 300, CLASSES = 37, WEIGHTS = FEATURES * CLASSES };

static const struct conv_shape shape = {1, 1, FEATURES, 1, 1, CLASSES, 1, 1, 0, 1};

static struct given {
    int8_t quantized[WEIGHTS];
    float multiplier[CLASSES], offset[CLASSES];
    uint8_t padding[FEATURES];
} given;

static void make(void)
{
    uint64_t seed = 9;
    for (int i = 0; i < WEIGHTS; i++)
        given.quantized[i] = (int8_t)((int)(random_next(&seed) % 65) - 32);
    random_floats(&seed, given.multiplier, CLASSES);
    random_floats(&seed, given.offset, CLASSES);
}

static void run(const char *isa, const float x[FEATURES], float y[CLASSES])
{
    const struct conv_weights weights = {.quantized = given.quantized,
                                         .multiplier = given.multiplier,
                                         .offset = given.offset,
                                         .padding = given.padding};
    struct kernel_isas isas;
    ck_assert(kernel_isas_select(isa, &isas));
    const struct conv_kernel *kernel = kernel_conv(isas, PRECISION_INT8, &shape);
    /* Multiples of 64, as aligned_alloc wants them. */
    void *packed = aligned_alloc(64, (classifier_packed_size(kernel, &shape) + 63) / 64 * 64);
    void *scratch = aligned_alloc(
        64, (classifier_scratch_size(kernel, &shape) + KERNEL_OVERREAD + 63) / 64 * 64);
    ck_assert(packed && scratch);
    classifier_pack(kernel, &shape, &weights, packed);
    classifier_run(kernel, &shape, packed, x, y, scratch);
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

START_TEST(logits_are_those_of_16_bit_features)
{
    float x[FEATURES], y[CLASSES];
    make();
    make_features(x);
    run("ref", x, y);
    for (int o = 0; o < CLASSES; o++) {
        double right = (double)given.offset[o], size = fabs(right), slack = 0;
        for (int c = 0; c < FEATURES; c++) {
            double weight = given.quantized[o * FEATURES + c] * (double)given.multiplier[o];
            right += weight * (double)x[c];
            size += fabs(weight * (double)x[c]);
            slack += fabs(weight) * 1000 / 65535 / 2;
        }
        ck_assert_double_eq_tol((double)y[o], right, slack + 1e-6 * size);
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
        ck_assert_mem_eq(y, given.offset, sizeof y);
    }
}
END_TEST

TEST_MAIN("nn/classifier", 10, logits_are_those_of_16_bit_features,
          every_isa_computes_the_same_bits, without_features_the_bias_is_left)
