#include "nn/shortcut.h"

#include "tests/nn/block.h"
#include "tests/suite.h"

/* Layers of the block. */
enum { POOL = 1, CONV1, CONV2, DOWN, CONV3, LAST_CONV3 = 8 };

static void check_joined(const struct layer *layers, bool joined)
{
    for (size_t i = 0; i < BLOCK_LAYERS; i++)
        ck_assert_uint_eq(shortcut_of(layers, BLOCK_LAYERS, i),
                          joined && i == CONV3 ? DOWN : BLOCK_LAYERS);
}

START_TEST(a_projection_is_joined_and_an_identity_is_not)
{
    struct layer layers[BLOCK_LAYERS];
    block_layers(layers);
    check_joined(layers, true);
}
END_TEST

START_TEST(what_one_kernel_cannot_compute_is_not_joined)
{
    struct layer layers[BLOCK_LAYERS];
    static const int both[] = {DOWN, CONV3};
    for (size_t i = 0; i < sizeof both / sizeof both[0]; i++) {
        block_layers(layers);
        layers[both[i]].shape.kernel = 3;
        check_joined(layers, false);
        block_layers(layers);
        layers[both[i]].shape.groups = 2;
        check_joined(layers, false);
        block_layers(layers);
        layers[both[i]].shape.pad = 1;
        check_joined(layers, false);
        block_layers(layers);
        layers[both[i]].kind = LAYER_AVG_POOL;
        check_joined(layers, false);
    }
}
END_TEST

START_TEST(what_is_more_than_a_sum_is_not_joined)
{
    struct layer layers[BLOCK_LAYERS];
    block_layers(layers);
    layers[DOWN].relu = true;
    check_joined(layers, false);
    block_layers(layers);
    layers[DOWN].gate = 1;
    check_joined(layers, false);
    block_layers(layers);
    layers[DOWN].residual = POOL + 1;
    check_joined(layers, false);
}
END_TEST

START_TEST(what_others_read_is_not_joined)
{
    struct layer layers[BLOCK_LAYERS];
    block_layers(layers);
    layers[CONV3 + 1].input = DOWN + 1;
    check_joined(layers, false);
    block_layers(layers);
    layers[LAST_CONV3].residual = DOWN + 1;
    check_joined(layers, false);
}
END_TEST

/* A gate multiplies the convolution's own output, before the shortcut is added. */
START_TEST(a_gate_and_a_stride_change_nothing)
{
    struct layer layers[BLOCK_LAYERS];
    block_layers(layers);
    layers[CONV3].gate = CONV2 + 1;
    layers[CONV3].relu = false;
    ck_assert_int_eq(layers[DOWN].shape.stride, 2);
    check_joined(layers, true);
}
END_TEST

TEST_MAIN("nn/shortcut", 30, a_projection_is_joined_and_an_identity_is_not,
          what_one_kernel_cannot_compute_is_not_joined, what_is_more_than_a_sum_is_not_joined,
          what_others_read_is_not_joined, a_gate_and_a_stride_change_nothing)
