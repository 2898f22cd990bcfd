#include "nn/network.h"

#include <math.h>
#include <string.h>

#include "tests/nn/block.h"
#include "tests/random.h"
#include "tests/suite.h"

static struct network *make_network(const char *rung)
{
    struct layer layers[BLOCK_LAYERS];
    struct kernel_ladder ladder;
    struct network *network;
    uint64_t seed = 42;
    static float weights[1 << 14], bias[64];
    block_layers(layers);
    ck_assert(kernel_ladder_select(rung, &ladder));
    ck_assert_int_eq(network_create(&network, layers, BLOCK_LAYERS, ladder, NULL), 0);
    for (size_t i = 0; i < BLOCK_LAYERS; i++) {
        if (layers[i].kind == LAYER_MAX_POOL || layers[i].kind == LAYER_AVG_POOL)
            continue;
        random_floats(&seed, weights, sizeof weights / sizeof weights[0]);
        random_floats(&seed, bias, sizeof bias / sizeof bias[0]);
        for (size_t w = 0; w < sizeof weights / sizeof weights[0]; w++)
            weights[w] *= 0.2F;
        network_set_weights(network, i, weights, bias);
    }
    return network;
}

static void fill_input(float *input, int images)
{
    uint64_t seed = 11;
    random_floats(&seed, input, (size_t)images * BLOCK_INPUT);
}

START_TEST(openblas_equals_the_reference)
{
    struct network *ref = make_network("ref"), *fast = make_network("openblas");
    struct workspace *a, *b;
    ck_assert_int_eq(workspace_create(&a, ref, 1, NULL), 0);
    ck_assert_int_eq(workspace_create(&b, fast, 1, NULL), 0);
    fill_input(workspace_input(a), 1);
    fill_input(workspace_input(b), 1);
    const float *x = network_forward(ref, a, 1), *y = network_forward(fast, b, 1);
    for (int c = 0; c < BLOCK_CLASSES; c++) {
        ck_assert(isfinite(x[c]) && fabsf(x[c]) > 1e-3F);
        ck_assert_float_eq_tol(x[c], y[c], 1e-4F);
    }
    workspace_destroy(a);
    workspace_destroy(b);
    network_destroy(ref);
    network_destroy(fast);
}
END_TEST

START_TEST(several_images_at_once_equal_one_by_one)
{
    struct network *network = make_network("openblas");
    struct workspace *all, *one;
    static float images[3 * BLOCK_INPUT], expected[3 * BLOCK_CLASSES];
    fill_input(images, 3);
    ck_assert_int_eq(workspace_create(&all, network, 4, NULL), 0);
    ck_assert_int_eq(workspace_create(&one, network, 1, NULL), 0);
    for (int i = 0; i < 3; i++) {
        memcpy(workspace_input(one), images + i * BLOCK_INPUT, BLOCK_INPUT * sizeof(float));
        memcpy(expected + i * BLOCK_CLASSES, network_forward(network, one, 1),
               BLOCK_CLASSES * sizeof(float));
    }
    memcpy(workspace_input(all), images, sizeof images);
    const float *logits = network_forward(network, all, 3);
    for (int i = 0; i < 3 * BLOCK_CLASSES; i++)
        ck_assert_float_eq_tol(logits[i], expected[i], 1e-4F);
    workspace_destroy(all);
    workspace_destroy(one);
    network_destroy(network);
}
END_TEST

START_TEST(a_workspace_can_be_used_again)
{
    struct network *network = make_network(NULL);
    struct workspace *w;
    float first[BLOCK_CLASSES];
    ck_assert_int_eq(workspace_create(&w, network, 1, NULL), 0);
    fill_input(workspace_input(w), 1);
    memcpy(first, network_forward(network, w, 1), sizeof first);
    fill_input(workspace_input(w), 1);
    ck_assert_mem_eq(first, network_forward(network, w, 1), sizeof first);
    workspace_destroy(w);
    network_destroy(network);
}
END_TEST

START_TEST(layer_by_layer_is_a_forward)
{
    struct network *network = make_network(NULL);
    struct workspace *whole, *single;
    ck_assert_int_eq(workspace_create(&whole, network, 2, NULL), 0);
    ck_assert_int_eq(workspace_create(&single, network, 2, NULL), 0);
    fill_input(workspace_input(whole), 2);
    fill_input(workspace_input(single), 2);
    /* The place of the logits, which both workspaces have alike. */
    const float *logits = network_forward(network, whole, 2);
    const float *other = workspace_input(single) + (logits - workspace_input(whole));
    for (size_t i = 0; i < network_layer_count(network); i++)
        network_run_layer(network, single, i, 2);
    ck_assert_mem_eq(logits, other, 2 * BLOCK_CLASSES * sizeof *logits);
    workspace_destroy(whole);
    workspace_destroy(single);
    network_destroy(network);
}
END_TEST

START_TEST(it_describes_itself)
{
    struct network *network = make_network(NULL);
    ck_assert_uint_eq(network_layer_count(network), BLOCK_LAYERS);
    ck_assert_int_eq(network_layer(network, BLOCK_LAYERS - 1)->shape.out_c, BLOCK_CLASSES);
    ck_assert_str_eq(network_layer(network, 3)->name, "a.conv2");
    ck_assert_str_eq(network_kernel_name(network, 1), "pool");
    ck_assert_str_eq(network_kernel_name(network, 2), "f32_pointwise__openblas");
    ck_assert_uint_ge(network_weight_bytes(network), 16 * 3 * 49 * sizeof(float));
    network_destroy(network);
    network_destroy(NULL);
    workspace_destroy(NULL);
}
END_TEST

TEST_MAIN("nn/network", 30, openblas_equals_the_reference, several_images_at_once_equal_one_by_one,
          a_workspace_can_be_used_again, layer_by_layer_is_a_forward, it_describes_itself)
