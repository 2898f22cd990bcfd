#include "nn/network.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "tests/nn/block.h"
#include "tests/nn/se_block.h"
#include "tests/suite.h"

/* The logits of `images` images; the caller frees them. */
static float *logits_of(const struct network *network, int images)
{
    struct workspace *w;
    size_t bytes = (size_t)images * BLOCK_CLASSES * sizeof(float);
    float *logits = malloc(bytes);
    ck_assert_ptr_nonnull(logits);
    ck_assert_int_eq(workspace_create(&w, network, images, NULL), ERR_OK);
    block_fill(network_precision(network), workspace_input(w), images);
    memcpy(logits, network_forward(network, w, images), bytes);
    workspace_destroy(w);
    return logits;
}

/* Two images' logits are the same, as far as the order of float sums allows; int8 to the bit. */
static void check_logits(enum precision precision, const char *what, const float *have,
                         const float *want)
{
    static const float limits[PRECISION_COUNT] = {1e-4F, 0.05F, 0};
    for (int c = 0; c < 2 * BLOCK_CLASSES; c++) {
        ck_assert(isfinite(want[c]) && fabsf(want[c]) > 1e-3F);
        ck_assert_msg(fabsf(have[c] - want[c]) <= limits[precision],
                      "%s, %s: logit %d is %g, not %g", precision_name(precision), what, c,
                      (double)have[c], (double)want[c]);
    }
}

/* Every ISA that this machine has gives what the reference gives. */
START_TEST(every_rung_equals_the_reference)
{
    for (enum precision precision = 0; precision < PRECISION_COUNT; precision++) {
        struct network *ref = block_network("ref", precision, 0.2F);
        float *want = logits_of(ref, 2);
        for (const char *const *isa = kernel_isa_choices + 1; *isa; isa++) {
            struct kernel_isas isas;
            if (!kernel_isas_select(*isa, &isas))
                continue;
            struct network *network = block_network(*isa, precision, 0.2F);
            float *have = logits_of(network, 2);
            check_logits(precision, *isa, have, want);
            free(have);
            network_destroy(network);
        }
        free(want);
        network_destroy(ref);
    }
}
END_TEST

/* The other precisions compute the same network. */
START_TEST(precisions_agree)
{
    static const float limits[PRECISION_COUNT] = {0, 0.05F, 0.25F};
    struct network *f32 = block_network("ref", PRECISION_F32, 0.2F);
    float *want = logits_of(f32, 3);
    for (enum precision precision = PRECISION_BF16; precision < PRECISION_COUNT; precision++) {
        struct network *network = block_network("ref", precision, 0.2F);
        float *have = logits_of(network, 3);
        for (int c = 0; c < 3 * BLOCK_CLASSES; c++)
            ck_assert_msg(fabsf(have[c] - want[c]) <= limits[precision],
                          "%s: logit %d is %g, not %g", precision_name(precision), c,
                          (double)have[c], (double)want[c]);
        free(have);
        network_destroy(network);
    }
    free(want);
    network_destroy(f32);
}
END_TEST

START_TEST(several_images_at_once_equal_one_by_one)
{
    struct network *network = block_network("generic", PRECISION_F32, 0.2F);
    struct workspace *all, *one;
    static float images[3 * BLOCK_INPUT], expected[3 * BLOCK_CLASSES];
    block_fill(PRECISION_F32, images, 3);
    ck_assert_int_eq(workspace_create(&all, network, 4, NULL), ERR_OK);
    ck_assert_int_eq(workspace_create(&one, network, 1, NULL), ERR_OK);
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
    struct network *network = block_network(NULL, PRECISION_F32, 0.2F);
    struct workspace *w;
    float first[BLOCK_CLASSES];
    ck_assert_int_eq(workspace_create(&w, network, 1, NULL), ERR_OK);
    block_fill(PRECISION_F32, workspace_input(w), 1);
    memcpy(first, network_forward(network, w, 1), sizeof first);
    block_fill(PRECISION_F32, workspace_input(w), 1);
    ck_assert_mem_eq(first, network_forward(network, w, 1), sizeof first);
    workspace_destroy(w);
    network_destroy(network);
}
END_TEST

START_TEST(layer_by_layer_is_a_forward)
{
    struct network *network = block_network(NULL, PRECISION_F32, 0.2F);
    struct workspace *whole, *single;
    ck_assert_int_eq(workspace_create(&whole, network, 2, NULL), ERR_OK);
    ck_assert_int_eq(workspace_create(&single, network, 2, NULL), ERR_OK);
    block_fill(PRECISION_F32, workspace_input(whole), 2);
    block_fill(PRECISION_F32, workspace_input(single), 2);
    /* The place of the logits, which both workspaces have alike. */
    const float *logits = network_forward(network, whole, 2);
    const float *input = workspace_input(whole);
    const float *other = (const float *)workspace_input(single) + (logits - input);
    for (size_t i = 0; i < network_layer_count(network); i++)
        network_run_layer(network, single, i, 2);
    ck_assert_mem_eq(logits, other, 2 * BLOCK_CLASSES * sizeof *logits);
    workspace_destroy(whole);
    workspace_destroy(single);
    network_destroy(network);
}
END_TEST

/* Tile by tile, backwards, with the scratch of another workspace. */
static void check_tiles(const char *isa, enum precision precision)
{
    struct network *network = block_network(isa, precision, 0.2F);
    struct workspace *w, *helper;
    float *want = logits_of(network, 2);
    ck_assert_int_eq(workspace_create(&w, network, 2, NULL), ERR_OK);
    ck_assert_int_eq(workspace_create(&helper, network, 1, NULL), ERR_OK);
    block_fill(precision, workspace_input(w), 2);
    for (size_t i = 0; i < network_layer_count(network); i++)
        for (int tile = network_tile_count(network, i, 2); tile-- > 0;)
            network_run_tiles(network, w, tile % 2 ? helper : w, i, 2, tile, tile + 1);
    const float *have = workspace_value(network, w, BLOCK_LAYERS);
    ck_assert_msg(memcmp(have, want, 2 * BLOCK_CLASSES * sizeof *want) == 0,
                  "%s on %s: tiles one by one give other bits", precision_name(precision), isa);
    free(want);
    workspace_destroy(w);
    workspace_destroy(helper);
    network_destroy(network);
}

START_TEST(tiles_give_the_same_bits_in_any_order)
{
    for (const char *const *isa = kernel_isa_choices + 1; *isa; isa++) {
        struct kernel_isas isas;
        for (enum precision p = 0; p < PRECISION_COUNT && kernel_isas_select(*isa, &isas); p++)
            check_tiles(*isa, p);
    }
}
END_TEST

/* The logits of two images by tiles, backwards, one by one; they must be those of a whole pass. */
static void run_se(const struct network *network, float logits[2 * SE_CLASSES])
{
    enum precision precision = network_precision(network);
    struct workspace *w;
    size_t bytes = 2 * SE_CLASSES * sizeof *logits;
    ck_assert_int_eq(workspace_create(&w, network, 2, NULL), ERR_OK);
    se_fill(precision, workspace_input(w), 2);
    memcpy(logits, network_forward(network, w, 2), bytes);
    se_fill(precision, workspace_input(w), 2);
    for (size_t i = 0; i < SE_LAYERS; i++)
        for (int tile = network_tile_count(network, i, 2); tile-- > 0;)
            network_run_tiles(network, w, w, i, 2, tile, tile + 1);
    ck_assert_mem_eq(network_result(network, w), logits, bytes);
    workspace_destroy(w);
}

static void check_se(const char *isa, enum precision precision, int kernel)
{
    static const double limits[PRECISION_COUNT] = {1e-5, 0.05, 0.25};
    static float input[2 * SE_INPUT];
    struct network *network = se_network(isa, precision, kernel);
    float logits[2 * SE_CLASSES];
    run_se(network, logits);
    network_destroy(network);
    se_fill(PRECISION_F32, input, 2);
    for (int image = 0; image < 2; image++) {
        double want[SE_CLASSES];
        se_expected(kernel, input + image * SE_INPUT, want);
        for (int c = 0; c < SE_CLASSES; c++) {
            double have = (double)logits[image * SE_CLASSES + c];
            ck_assert_msg(fabs(have - want[c]) <= limits[precision],
                          "%s, %s, kernel %d: logit %d is %g, not %g", precision_name(precision),
                          isa, kernel, c, have, want[c]);
        }
    }
}

START_TEST(attention_is_as_its_paper_has_it)
{
    for (const char *const *isa = kernel_isa_choices + 1; *isa; isa++) {
        struct kernel_isas isas;
        for (enum precision p = 0; p < PRECISION_COUNT && kernel_isas_select(*isa, &isas); p++)
            for (int kernel = 1; kernel <= 3; kernel += 2)
                check_se(*isa, p, kernel);
    }
}
END_TEST

/* Layer SE_GATE - 1 makes the gate. A gate of NaN would be seen in floats only. */
START_TEST(a_gate_that_overflows_is_refused_where_it_would_not_be_seen)
{
    static const float zeros[5 * 24];
    static float weights[24 * 5], bias[24];
    const int wanted[] = {[PRECISION_F32] = ERR_OK,
                          [PRECISION_BF16] = ERR_OK,
                          [PRECISION_INT8] = ERR_MODEL_UNSUPPORTED};
    for (enum precision p = 0; p < PRECISION_COUNT; p++) {
        struct network *network = se_network("ref", p, 1);
        struct error err = {0};
        weights[7] = 1e38F;
        ck_assert_int_eq(network_set_weights(network, SE_GATE - 1, weights, bias, &err), wanted[p]);
        ck_assert(p != PRECISION_INT8 || strstr(err.message, "se.fc2"));
        ck_assert_int_eq(network_set_weights(network, SE_GATE - 2, zeros, zeros, NULL), ERR_OK);
        weights[7] = FLT_MAX; /* of which bfloat16 makes infinity */
        ck_assert_int_eq(network_set_weights(network, SE_GATE - 1, weights, bias, &err), wanted[p]);
        weights[7] = 1e30F;
        ck_assert_int_eq(network_set_weights(network, SE_GATE - 1, weights, bias, NULL), ERR_OK);
        network_destroy(network);
    }
}
END_TEST

START_TEST(all_tiles_of_attention_are_run)
{
    enum { IN = 70, OUT = 2063, IMAGES = 2, PIXELS = 4 };
    static float weights[IN * OUT], bias[OUT];
    const struct layer layers[] = {
        {.kind = LAYER_SQUEEZE,
         .shape = {2, 2, IN, 1, 1, IN, 1, 1, 0, 1},
         .residual = LAYER_NO_VALUE},
        {.kind = LAYER_EXCITE,
         .shape = {1, 1, IN, 1, 1, OUT, 1, 1, 0, 1},
         .input = 1,
         .residual = LAYER_NO_VALUE},
    };
    const struct network_options options = {.precision = PRECISION_F32};
    struct network *network;
    struct workspace *w;
    for (int o = 0; o < OUT; o++) {
        bias[o] = (float)o;
        weights[o * IN + IN - 1] = 1;
    }
    ck_assert_int_eq(network_create(&network, layers, 2, &options, NULL), ERR_OK);
    ck_assert_int_eq(network_set_weights(network, 1, weights, bias, NULL), ERR_OK);
    ck_assert_int_eq(workspace_create(&w, network, IMAGES, NULL), ERR_OK);
    for (int i = 0; i < IMAGES * PIXELS * IN; i++)
        ((float *)workspace_input(w))[i] = 1;
    ck_assert_int_gt(network_tile_count(network, 0, 1), 1);
    ck_assert_int_gt(network_tile_count(network, 1, 1), 1);
    const float *y = network_forward(network, w, IMAGES);
    for (int i = 0; i < IMAGES * OUT; i++)
        ck_assert_float_eq(y[i], (float)(i % OUT + 1));
    workspace_destroy(w);
    network_destroy(network);
}
END_TEST

START_TEST(a_gate_can_be_read)
{
    for (enum precision precision = 0; precision < PRECISION_COUNT; precision++) {
        struct network *network = se_network("ref", precision, 1);
        struct workspace *w;
        float gate[2 * 24];
        ck_assert_uint_eq(network_value_size(network, SE_GATE), 24);
        ck_assert_int_eq(workspace_create(&w, network, 2, NULL), ERR_OK);
        se_fill(precision, workspace_input(w), 2);
        for (size_t i = 0; i < SE_GATE; i++)
            network_run_layer(network, w, i, 2);
        network_read_value(network, w, SE_GATE, 0, 2 * 24, gate);
        ck_assert_mem_eq(gate, workspace_value(network, w, SE_GATE), sizeof gate);
        for (int i = 0; i < 2 * 24; i++)
            ck_assert(gate[i] > 0 && gate[i] < 1);
        workspace_destroy(w);
        network_destroy(network);
    }
}
END_TEST

START_TEST(it_describes_itself)
{
    struct network *network = block_network("generic", PRECISION_F32, 0.2F);
    ck_assert_uint_eq(network_layer_count(network), BLOCK_LAYERS);
    ck_assert_int_eq(network_layer(network, BLOCK_LAYERS - 1)->shape.out_c, BLOCK_CLASSES);
    ck_assert_str_eq(network_layer(network, 3)->name, "a.conv2");
    ck_assert_ptr_null(network_kernel(network, 1));
    ck_assert_str_eq(network_kernel(network, 2)->name, "f32_dense__generic");
    ck_assert_int_eq(network_precision(network), PRECISION_F32);
    ck_assert_uint_ge(network_weight_bytes(network), 16 * 3 * 49 * sizeof(float));
    network_destroy(network);
    network_destroy(NULL);
    workspace_destroy(NULL);
}
END_TEST

START_TEST(it_says_what_it_runs_on)
{
    struct network *plain = block_network("ref", PRECISION_F32, 0.2F);
    struct network *quick = block_network("auto", PRECISION_F32, 0.2F);
    struct network_summary on = network_kernels(plain);
    ck_assert_str_eq(on.dense, "ref");
    ck_assert_str_eq(on.grouped, "ref");
    on = network_kernels(quick);
    ck_assert_ptr_null(strstr(on.dense, "ref"));
    ck_assert_ptr_nonnull(strstr(on.grouped, "OpenBLAS "));
    network_destroy(plain);
    network_destroy(quick);
}
END_TEST

START_TEST(a_library_needs_room_for_its_threads)
{
    struct network *plain = block_network("ref", PRECISION_F32, 0.2F);
    struct network *quick = block_network("auto", PRECISION_F32, 0.2F);
    struct error err;
    ck_assert_int_eq(network_check_memory(plain, INT_MAX, &err), ERR_OK);
    ck_assert_int_eq(network_check_memory(quick, 2, &err), ERR_OK);
    ck_assert_int_eq(network_check_memory(quick, INT_MAX, &err), ERR_NO_MEMORY);
    network_destroy(plain);
    network_destroy(quick);
}
END_TEST

TEST_MAIN("nn/network", 30, every_rung_equals_the_reference, precisions_agree,
          several_images_at_once_equal_one_by_one, a_workspace_can_be_used_again,
          layer_by_layer_is_a_forward, tiles_give_the_same_bits_in_any_order,
          attention_is_as_its_paper_has_it,
          a_gate_that_overflows_is_refused_where_it_would_not_be_seen,
          all_tiles_of_attention_are_run, a_gate_can_be_read, it_describes_itself,
          it_says_what_it_runs_on, a_library_needs_room_for_its_threads)
