#include "nn/layer.h"

#include "tests/suite.h"

START_TEST(a_convolution_counts_its_batch_norm)
{
    struct layer grouped = {.kind = LAYER_CONV, .shape = {56, 56, 128, 56, 56, 128, 3, 1, 1, 32}};
    ck_assert_int_eq(layer_parameters(&grouped), 128 * 4 * 9 + 2 * 128);
    ck_assert_int_eq(layer_multiply_adds(&grouped), 128LL * 4 * 9 * 56 * 56);
}
END_TEST

START_TEST(a_classifier_counts_its_bias)
{
    struct layer linear = {.kind = LAYER_LINEAR, .shape = {1, 1, 2048, 1, 1, 1000, 1, 1, 0, 1}};
    ck_assert_int_eq(layer_parameters(&linear), 2048 * 1000 + 1000);
    ck_assert_int_eq(layer_multiply_adds(&linear), 2048 * 1000);
}
END_TEST

START_TEST(pooling_counts_nothing)
{
    struct layer pool = {.kind = LAYER_MAX_POOL, .shape = {112, 112, 64, 56, 56, 64, 3, 2, 1, 1}};
    ck_assert_int_eq(layer_parameters(&pool), 0);
    ck_assert_int_eq(layer_multiply_adds(&pool), 0);
}
END_TEST

START_TEST(every_layer_is_called_something)
{
    const struct layer conv = {.kind = LAYER_CONV, .name = "layer1.0.conv2"};
    const struct layer max = {.kind = LAYER_MAX_POOL}, mean = {.kind = LAYER_GLOBAL_POOL};
    ck_assert_str_eq(layer_label(&conv), "layer1.0.conv2");
    ck_assert_str_eq(layer_label(&max), "max_pool");
    ck_assert_str_eq(layer_label(&mean), "avg_pool");
}
END_TEST

TEST_MAIN("nn/layer", 10, a_convolution_counts_its_batch_norm, a_classifier_counts_its_bias,
          pooling_counts_nothing, every_layer_is_called_something)
