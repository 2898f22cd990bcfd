#include "nn/plan.h"

#include "tests/nn/block.h"
#include "tests/nn/se_block.h"
#include "tests/suite.h"

/* The stem and its pool: nn/fine.h. */
static bool is_fine(size_t v)
{
    return v == 1 || v == 2;
}

/* The projection shortcut, layer 4, which int8 computes in layer 5: nn/shortcut.h. */
enum { SHORTCUT = 5 };
static bool is_joined(size_t v, enum precision precision)
{
    return precision == PRECISION_INT8 && v == SHORTCUT;
}

/* Bytes of a value: elements of the precision, logits in float32. */
static size_t size_of(const struct layer *layers, size_t v, enum precision precision)
{
    const struct conv_shape *s = &layers[v ? v - 1 : 0].shape;
    if (is_joined(v, precision))
        return 0;
    int count = v ? s->out_h * s->out_w * s->out_c : s->in_h * s->in_w * s->in_c;
    size_t element = precision == PRECISION_INT8 && is_fine(v) ? 2 : precision_size(precision);
    return (size_t)count * (v == BLOCK_LAYERS ? sizeof(float) : element);
}

static size_t last_read(const struct layer *layers, size_t v, enum precision precision)
{
    if (precision == PRECISION_INT8 && layers[SHORTCUT - 1].input == (int)v)
        return SHORTCUT;
    size_t last = v == BLOCK_LAYERS ? BLOCK_LAYERS : 0;
    for (size_t i = 0; i < BLOCK_LAYERS; i++)
        if (layers[i].input == (int)v || layers[i].residual == (int)v)
            last = i;
    return last;
}

static void make_plan(struct plan *plan, struct layer layers[BLOCK_LAYERS],
                      enum precision precision)
{
    block_layers(layers);
    ck_assert_int_eq(plan_create(plan, layers, BLOCK_LAYERS, precision, NULL), ERR_OK);
    ck_assert_uint_eq(plan->value_count, BLOCK_LAYERS + 1);
}

START_TEST(values_that_live_together_do_not_overlap)
{
    struct layer layers[BLOCK_LAYERS];
    for (enum precision precision = 0; precision < PRECISION_COUNT; precision++) {
        struct plan plan;
        make_plan(&plan, layers, precision);
        for (size_t v = 1; v <= BLOCK_LAYERS; v++)
            for (size_t u = 0; u < v; u++) {
                size_t made = v - 1;
                if (last_read(layers, u, precision) < made || layers[v - 1].residual == (int)u)
                    continue;
                bool apart = plan.offset[v] >= plan.offset[u] + size_of(layers, u, precision) ||
                             plan.offset[u] >= plan.offset[v] + size_of(layers, v, precision);
                ck_assert_msg(apart, "%s: values %zu and %zu overlap", precision_name(precision), u,
                              v);
            }
        plan_destroy(&plan);
    }
}
END_TEST

START_TEST(everything_is_aligned_and_inside)
{
    struct layer layers[BLOCK_LAYERS];
    for (enum precision precision = 0; precision < PRECISION_COUNT; precision++) {
        struct plan plan;
        make_plan(&plan, layers, precision);
        ck_assert_uint_eq(plan.offset[0], 0);
        size_t sum = 0;
        for (size_t v = 0; v <= BLOCK_LAYERS; v++) {
            ck_assert_uint_eq(plan.offset[v] % 64, 0);
            ck_assert_uint_le(plan.offset[v] + size_of(layers, v, precision), plan.total);
            sum += size_of(layers, v, precision);
        }
        ck_assert_uint_lt(plan.total, sum);
        plan_destroy(&plan);
    }
}
END_TEST

START_TEST(a_smaller_element_needs_less)
{
    struct layer layers[BLOCK_LAYERS];
    struct plan f32, bf16, int8;
    make_plan(&f32, layers, PRECISION_F32);
    make_plan(&bf16, layers, PRECISION_BF16);
    make_plan(&int8, layers, PRECISION_INT8);
    ck_assert_uint_le(bf16.total, f32.total / 2 + 64 * BLOCK_LAYERS);
    ck_assert_uint_le(int8.total, bf16.total);
    plan_destroy(&f32);
    plan_destroy(&bf16);
    plan_destroy(&int8);
}
END_TEST

START_TEST(a_sum_takes_the_place_of_its_dead_residual)
{
    struct layer layers[BLOCK_LAYERS];
    for (enum precision precision = 0; precision < PRECISION_COUNT; precision++) {
        struct plan plan;
        make_plan(&plan, layers, precision);
        if (!is_joined(SHORTCUT, precision))
            ck_assert_uint_eq(plan.offset[6], plan.offset[SHORTCUT]);
        ck_assert_uint_eq(plan.offset[9], plan.offset[6]);
        plan_destroy(&plan);
    }
}
END_TEST

/* Attention is float32 in every precision. A gate lives until its convolution has run, and so does
 * what both that and the squeeze read. */
START_TEST(gates_live_until_they_are_used)
{
    struct layer layers[SE_LAYERS];
    for (enum precision precision = 0; precision < PRECISION_COUNT; precision++)
        for (int kernel = 1; kernel <= 3; kernel += 2) {
            struct plan plan;
            se_layers(kernel, layers);
            ck_assert_int_eq(plan_create(&plan, layers, SE_LAYERS, precision, NULL), ERR_OK);
            for (int v = SE_GATE + 1; v <= SE_SHORTCUT + 1; v++) {
                const struct conv_shape *s = &layers[v - 1].shape;
                size_t size = (size_t)(s->out_h * s->out_w * s->out_c) * precision_size(precision);
                size_t gate = plan.offset[SE_GATE], read = plan.offset[SE_SQUEEZED - 1];
                size_t gate_end = gate + (size_t)layers[SE_GATE - 1].shape.out_c * sizeof(float);
                ck_assert(plan.offset[v] >= gate_end || plan.offset[v] + size <= gate);
                ck_assert(plan.offset[v] > read || plan.offset[v] + size <= read);
            }
            plan_destroy(&plan);
        }
}
END_TEST

START_TEST(an_absurd_size_is_refused)
{
    struct layer layers[BLOCK_LAYERS];
    struct plan plan;
    struct error err;
    block_layers(layers);
    layers[3].shape.out_h = layers[3].shape.out_w = 1 << 30;
    ck_assert_int_eq(plan_create(&plan, layers, BLOCK_LAYERS, PRECISION_INT8, &err),
                     ERR_MODEL_UNSUPPORTED);
    ck_assert_str_eq(err.message, "layer a.conv2: its output is too large");
}
END_TEST

TEST_MAIN("nn/plan", 10, values_that_live_together_do_not_overlap, everything_is_aligned_and_inside,
          a_smaller_element_needs_less, a_sum_takes_the_place_of_its_dead_residual,
          gates_live_until_they_are_used, an_absurd_size_is_refused)
