#include "nn/fine.h"

#include <math.h>
#include <string.h>

#include "tests/nn/block.h"
#include "tests/random.h"
#include "tests/suite.h"

/* Layers of the block, and their values. */
enum { STEM, POOL, CONV1, DOWN = 4, LAST_CONV3 = 8 };
enum { STEM_VALUE = STEM + 1, POOL_VALUE };

static void check_forms(const struct layer *layers, enum fine_form stem, enum fine_form pool)
{
    for (size_t v = 0; v <= BLOCK_LAYERS; v++) {
        enum fine_form want = v == STEM_VALUE ? stem : v == POOL_VALUE ? pool : FINE_NONE;
        ck_assert_msg(fine_form_of(layers, BLOCK_LAYERS, v) == want, "value %zu", v);
    }
}

START_TEST(a_stem_and_its_pool_are_fine)
{
    struct layer layers[BLOCK_LAYERS];
    block_layers(layers);
    check_forms(layers, FINE_WORDS, FINE_PLANES);
}
END_TEST

/* What is read in any other way has bytes. */
START_TEST(other_readers_get_bytes)
{
    struct layer layers[BLOCK_LAYERS];
    block_layers(layers);
    layers[CONV1].shape.kernel = 3;
    check_forms(layers, FINE_NONE, FINE_NONE);
    block_layers(layers);
    layers[DOWN].shape.groups = 2;
    check_forms(layers, FINE_NONE, FINE_NONE);
    block_layers(layers);
    layers[LAST_CONV3].residual = POOL_VALUE;
    check_forms(layers, FINE_NONE, FINE_NONE);
    block_layers(layers);
    layers[DOWN].input = STEM_VALUE;
    check_forms(layers, FINE_NONE, FINE_NONE);
    block_layers(layers);
    layers[CONV1].kind = LAYER_SQUEEZE;
    check_forms(layers, FINE_NONE, FINE_NONE);
}
END_TEST

START_TEST(other_makers_give_bytes)
{
    struct layer layers[BLOCK_LAYERS];
    block_layers(layers);
    layers[STEM].shape.out_c = 12;
    check_forms(layers, FINE_NONE, FINE_NONE);
    block_layers(layers);
    layers[STEM].gate = 1;
    check_forms(layers, FINE_NONE, FINE_NONE);
    block_layers(layers);
    layers[DOWN].residual = STEM_VALUE;
    check_forms(layers, FINE_NONE, FINE_NONE);
    block_layers(layers);
    layers[POOL].kind = LAYER_BLUR_POOL;
    check_forms(layers, FINE_NONE, FINE_NONE);
}
END_TEST

enum { IMAGES = 2, SIDE = 9, CHANNELS_MAX = 80, WORDS = IMAGES * SIDE * SIDE * CHANNELS_MAX };

static int max_at(const struct conv_shape *s, const uint16_t *x, int image, int oy, int ox, int c)
{
    int max = 0;
    for (int ky = 0; ky < s->kernel; ky++)
        for (int kx = 0; kx < s->kernel; kx++) {
            int row = oy * s->stride - s->pad + ky, column = ox * s->stride - s->pad + kx;
            if (row < 0 || column < 0 || row >= s->in_h || column >= s->in_w)
                continue;
            int word = x[((image * s->in_h + row) * s->in_w + column) * s->in_c + c];
            max = word > max ? word : max;
        }
    return max;
}

/* A row at a time, backwards. */
static void check_pool(const struct conv_shape *s)
{
    static uint16_t words[WORDS];
    static uint8_t planes[FINE_PLANE_COUNT * WORDS];
    uint64_t seed = 3;
    for (size_t i = 0; i < WORDS; i++)
        words[i] = (uint16_t)(i % 5 ? random_next(&seed) % (CONV_WORD_MAX + 1)
                                    : CONV_WORD_MAX - random_next(&seed) % 9);
    for (int row = IMAGES * s->out_h; row-- > 0;)
        fine_pool(s, words, planes, row, row + 1);
    const uint8_t *at = planes;
    for (int image = 0; image < IMAGES; image++)
        for (int oy = 0; oy < s->out_h; oy++)
            for (int ox = 0; ox < s->out_w; ox++, at += FINE_PLANE_COUNT * s->in_c)
                for (int c = 0; c < s->in_c; c++) {
                    int max = max_at(s, words, image, oy, ox, c);
                    ck_assert_int_eq(at[c], (int)floor((double)max / FINE_PARTS + 0.5));
                    ck_assert_int_eq(FINE_PARTS * at[c] + at[s->in_c + c] - FINE_PARTS / 2, max);
                }
}

START_TEST(a_pool_splits_the_largest_word)
{
    static const int channels[] = {8, 16, 64, CHANNELS_MAX};
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
        check_pool(&(struct conv_shape){SIDE, SIDE, channels[i], 5, 5, channels[i], 3, 2, 1, 1});
        check_pool(&(struct conv_shape){SIDE, SIDE, channels[i], 4, 4, channels[i], 2, 2, 0, 1});
        check_pool(&(struct conv_shape){7, SIDE, channels[i], 7, SIDE, channels[i], 3, 1, 1, 1});
    }
}
END_TEST

enum { IN = 16, OUT = 3, BITS = IN * OUT / 8 };

static const struct layer pointwise = {
    .kind = LAYER_CONV,
    .name = "layer1.0.conv1",
    .shape = {2, 2, IN, 2, 2, OUT, .kernel = 1, .stride = 1, .groups = 1},
    .relu = true,
    .residual = LAYER_NO_VALUE,
};

/* Quantities of the layer, made up, and its input as kernels see it. */
struct given {
    float weights[OUT * IN], bias[OUT], scale[IN], zero[IN], mean[IN], y_scale[OUT], y_zero[OUT];
    float fine_scale[2 * IN], fine_zero[2 * IN], fine_mean[2 * IN];
    uint8_t rounding[BITS];
    struct quantization x, fine, y;
};

static void make(struct given *g)
{
    uint64_t seed = 5;
    random_floats(&seed, g->weights, OUT * IN);
    random_floats(&seed, g->bias, OUT);
    for (int c = 0; c < IN; c++) {
        g->scale[c] = 0.01F * (float)(c + 1);
        g->zero[c] = (float)(c % 3);
        g->mean[c] = 0.2F * (float)c;
    }
    for (int o = 0; o < OUT; o++) {
        g->y_scale[o] = 0.05F * (float)(o + 1);
        g->y_zero[o] = (float)o;
    }
    for (size_t i = 0; i < BITS; i++)
        g->rounding[i] = (uint8_t)random_next(&seed);
    g->x = (struct quantization){g->scale, g->zero, g->mean};
    g->y = (struct quantization){g->y_scale, g->y_zero, NULL};
    g->fine = (struct quantization){g->fine_scale, g->fine_zero, g->fine_mean};
    fine_rescale(FINE_PLANES, &g->x, IN,
                 (struct fine_scales){g->fine_scale, g->fine_zero, g->fine_mean});
}

/* The first half of the weights is what bytes would have; the second is an eighth of the exact
 * weights, to the nearest. */
static void check_weights(struct given *g, const uint8_t *rounding)
{
    struct conv_weights plain, fine;
    ck_assert_int_eq(
        quantize_layer(&pointwise, g->weights, g->bias, rounding, &g->x, &g->y, NULL, &plain, NULL),
        ERR_OK);
    ck_assert_int_eq(fine_quantize(&pointwise, g->weights, g->bias, rounding, &g->fine, &g->y, NULL,
                                   &fine, NULL),
                     ERR_OK);
    for (int o = 0; o < OUT; o++) {
        const int8_t *whole = fine.quantized + 2 * o * IN, *parts = whole + IN;
        double step = (double)fine.multiplier[o] * (double)g->y_scale[o];
        ck_assert(fine.multiplier[o] == plain.multiplier[o]);
        for (int c = 0; c < IN; c++) {
            double exact = (double)g->weights[o * IN + c] * (double)g->scale[c] / step;
            ck_assert_int_eq(whole[c], plain.quantized[o * IN + c]);
            ck_assert_double_le(fabs(parts[c] - exact / FINE_PARTS), 0.5001);
        }
    }
    quantize_destroy(&plain);
    quantize_destroy(&fine);
}

START_TEST(weights_of_parts_are_an_eighth)
{
    struct given g;
    make(&g);
    check_weights(&g, NULL);
    check_weights(&g, g.rounding);
}
END_TEST

/* Words at random, split as the pool does it, through the integer sum: what remains is the rounding
 * of the weights, which for a whole step is as large as for a byte. */
START_TEST(sums_are_those_of_the_words)
{
    struct given g;
    struct conv_weights w;
    uint64_t seed = 8;
    make(&g);
    g.x.mean = g.fine.mean = NULL;
    ck_assert_int_eq(
        fine_quantize(&pointwise, g.weights, g.bias, NULL, &g.fine, NULL, NULL, &w, NULL), ERR_OK);
    for (int o = 0; o < OUT; o++) {
        double step = (double)w.multiplier[o], sum = 0, exact = (double)g.bias[o], slack = 1e-5;
        for (int c = 0; c < IN; c++) {
            int word = (int)(random_next(&seed) % (CONV_WORD_MAX + 1)) + FINE_PARTS / 2;
            int whole = word / FINE_PARTS, part = word % FINE_PARTS;
            double value = (double)(word - FINE_PARTS / 2) / FINE_PARTS - (double)g.zero[c];
            sum += w.quantized[2 * o * IN + c] * whole + w.quantized[(2 * o + 1) * IN + c] * part;
            exact += value * (double)g.scale[c] * (double)g.weights[o * IN + c];
            slack += step * 0.5 *
                     (fabs(whole - (double)g.zero[c]) + fabs(part - (double)g.fine_zero[IN + c]));
        }
        ck_assert_double_le(fabs(sum * step + (double)w.offset[o] - exact), slack);
    }
    quantize_destroy(&w);
}
END_TEST

START_TEST(numbers_can_be_read_in_every_form)
{
    struct given g;
    make(&g);
    const uint8_t planes[2 * 2 * IN] = {[2 * IN + 1] = 7, [3 * IN + 1] = 6};
    const uint16_t words[2 * IN] = {[IN + 1] = 58};
    float number, scale[IN], zero[IN];
    fine_read(FINE_PLANES, &g.fine, IN, planes, IN + 1, 1, &number);
    ck_assert_float_eq_tol(number, g.scale[1] * (58 / 8.0F - g.zero[1]), 1e-6F);
    fine_rescale(FINE_WORDS, &g.x, IN, (struct fine_scales){scale, zero, NULL});
    fine_read(FINE_WORDS, &(struct quantization){scale, zero, NULL}, IN, words, IN + 1, 1, &number);
    ck_assert_float_eq_tol(number, g.scale[1] * (58 / 8.0F - g.zero[1]), 1e-6F);
    fine_read(FINE_NONE, &g.x, IN, planes, 2 * IN + 1, 1, &number);
    ck_assert_float_eq_tol(number, g.scale[1] * (7 - g.zero[1]), 1e-6F);
}
END_TEST

START_TEST(numbers_that_do_not_fit_are_refused)
{
    struct given g;
    struct conv_weights w;
    struct error err;
    make(&g);
    g.weights[3] = 3e38F;
    g.fine_scale[3] = 10;
    ck_assert_int_eq(
        fine_quantize(&pointwise, g.weights, g.bias, g.rounding, &g.fine, &g.y, NULL, &w, &err),
        ERR_MODEL_UNSUPPORTED);
}
END_TEST

TEST_MAIN("nn/fine", 30, a_stem_and_its_pool_are_fine, other_readers_get_bytes,
          other_makers_give_bytes, a_pool_splits_the_largest_word, weights_of_parts_are_an_eighth,
          sums_are_those_of_the_words, numbers_can_be_read_in_every_form,
          numbers_that_do_not_fit_are_refused)
