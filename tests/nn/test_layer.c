#include "nn/layer.h"

#include <string.h>

#include "tests/nn/se_block.h"
#include "tests/suite.h"

START_TEST(a_convolution_counts_its_batch_norm)
{
    struct layer grouped = {
        .kind = LAYER_CONV, .norm = "bn1", .shape = {56, 56, 128, 56, 56, 128, 3, 1, 1, 32}};
    ck_assert_int_eq(layer_parameters(&grouped), 128 * 4 * 9 + 2 * 128);
    ck_assert_int_eq(layer_multiply_adds(&grouped), 128LL * 4 * 9 * 56 * 56);
    strcpy(grouped.norm, ""); /* the identity */
    ck_assert_int_eq(layer_parameters(&grouped), 0);
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

/* Those of the tensors that PyTorch stores, however large the weights are multiplied out. */
START_TEST(attention_counts_its_tensors)
{
    struct layer fc = {.kind = LAYER_EXCITE, .shape = {1, 1, 9 * 64, 1, 1, 8, 1, 1, 0, 1}};
    fc.excitation = (struct excitation){.function = EXCITE_RELU, .conv = 5, .channels = 256};
    ck_assert_int_eq(layer_parameters(&fc), 8 * 256 + 8);
    ck_assert_int_eq(layer_multiply_adds(&fc), 9 * 64 * 8);
    fc.excitation.kernel = 5;
    ck_assert_int_eq(layer_parameters(&fc), 5);
    const struct layer squeeze = {.kind = LAYER_SQUEEZE, .shape = {7, 7, 64, 1, 1, 64, 1, 1, 0, 1}};
    ck_assert_int_eq(layer_parameters(&squeeze), 0);
    ck_assert_int_eq(layer_multiply_adds(&squeeze), 0);
}
END_TEST

START_TEST(attention_features_and_logits_are_float32)
{
    struct layer layers[SE_LAYERS];
    se_layers(1, layers);
    for (size_t v = 0; v <= SE_LAYERS; v++) {
        bool is_f32 = (v >= SE_SQUEEZED && v <= SE_GATE) || v == SE_LAYERS;
        ck_assert_int_eq(layer_value_precision(layers, SE_LAYERS, v, PRECISION_BF16),
                         is_f32 ? PRECISION_F32 : PRECISION_BF16);
        ck_assert_int_eq(layer_value_precision(layers, SE_LAYERS, v, PRECISION_INT8),
                         is_f32 || v == SE_FEATURES ? PRECISION_F32 : PRECISION_INT8);
    }
}
END_TEST

/* Each change makes nonsense of the network, and is taken back. */
#define CHECK_UNSOUND(place, value)                                                                \
    do {                                                                                           \
        struct layer kept[SE_LAYERS];                                                              \
        memcpy(kept, l, sizeof kept);                                                              \
        (place) = (value);                                                                         \
        ck_assert_msg(!layers_are_sound(l, SE_LAYERS), #place " = " #value);                       \
        memcpy(l, kept, sizeof kept);                                                              \
        ck_assert(layers_are_sound(l, SE_LAYERS));                                                 \
    } while (0)

START_TEST(nonsense_is_no_network)
{
    enum { MAX = 1, BLUR = 2, CONV2 = 3, SQUEEZE = 4, FC1 = 5, AVG = 7, CONV3 = 9, GLOBAL = 10 };
    struct layer l[SE_LAYERS];
    se_layers(3, l);
    ck_assert(!layers_are_sound(l, 0));
    CHECK_UNSOUND(l[0].input, 1);
    CHECK_UNSOUND(l[CONV2].input, 2);
    CHECK_UNSOUND(l[CONV2].input, -1);
    CHECK_UNSOUND(l[CONV2].shape.groups, 3);
    CHECK_UNSOUND(l[CONV2].gate, 1);
    CHECK_UNSOUND(l[MAX].shape.pad, 3);
    CHECK_UNSOUND(l[MAX].shape.out_c, 8);
    CHECK_UNSOUND(l[MAX].shape.stride, 2);
    CHECK_UNSOUND(l[MAX].residual, 1);
    CHECK_UNSOUND(l[BLUR].shape.stride, 1);
    CHECK_UNSOUND(l[BLUR].shape.kernel, 5);
    CHECK_UNSOUND(l[AVG].shape.kernel, 3);
    CHECK_UNSOUND(l[AVG].shape.out_h, 5);
    CHECK_UNSOUND(l[SQUEEZE].shape.kernel, 1);
    CHECK_UNSOUND(l[SQUEEZE].shape.pad, 0);
    CHECK_UNSOUND(l[SQUEEZE].input, SE_SQUEEZED);
    CHECK_UNSOUND(l[FC1].input, 4);
    CHECK_UNSOUND(l[FC1].kind, LAYER_CONV);
    CHECK_UNSOUND(l[CONV3].gate, SE_SQUEEZED);
    CHECK_UNSOUND(l[CONV3].gate, SE_GATE - 1);
    CHECK_UNSOUND(l[CONV3].gate, CONV3 + 1);
    CHECK_UNSOUND(l[CONV3].shape.groups, 2);
    CHECK_UNSOUND(l[CONV3].residual, SE_GATE);
    CHECK_UNSOUND(l[CONV3].residual, CONV3 + 1);
    CHECK_UNSOUND(l[GLOBAL].shape.out_h, 3);
    CHECK_UNSOUND(l[CONV3].relu, false);
}
END_TEST

START_TEST(every_layer_is_called_something)
{
    const struct layer conv = {.kind = LAYER_CONV, .name = "layer1.0.conv2"};
    const struct layer max = {.kind = LAYER_MAX_POOL}, mean = {.kind = LAYER_GLOBAL_POOL};
    const struct layer blur = {.kind = LAYER_BLUR_POOL};
    ck_assert_str_eq(layer_label(&conv), "layer1.0.conv2");
    ck_assert_str_eq(layer_label(&max), "max_pool");
    ck_assert_str_eq(layer_label(&mean), "avg_pool");
    ck_assert_str_eq(layer_label(&blur), "blur_pool");
}
END_TEST

TEST_MAIN("nn/layer", 10, a_convolution_counts_its_batch_norm, a_classifier_counts_its_bias,
          pooling_counts_nothing, attention_counts_its_tensors,
          attention_features_and_logits_are_float32, nonsense_is_no_network,
          every_layer_is_called_something)
