#include "nn/attention.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/sums.h"
#include "tests/random.h"
#include "tests/suite.h"

/* More than a strip of channels and no multiple of a vector. */
enum { CHANNELS = 83, EDGE_MAX = 19, IMAGES = 2, TAPS = 9 };

static float scale[CHANNELS], zero[CHANNELS];
static const struct quantization quantization = {.scale = scale, .zero = zero};

static void fill_scales(void)
{
    for (int c = 0; c < CHANNELS; c++) {
        scale[c] = 0.01F * (float)(c + 1);
        zero[c] = (float)(c * 3);
    }
}

/* What an element stands for. */
static double element(enum precision precision, const void *x, size_t at)
{
    size_t c = at % CHANNELS;
    return precision == PRECISION_F32    ? (double)((const float *)x)[at]
           : precision == PRECISION_BF16 ? (double)f32_from_bf16(((const uint16_t *)x)[at])
                                         : (double)scale[c] * (((const uint8_t *)x)[at] - zero[c]);
}

static void fill(enum precision precision, void *x, size_t count)
{
    uint64_t seed = 7;
    for (size_t i = 0; i < count; i++) {
        float value;
        random_floats(&seed, &value, 1);
        if (precision == PRECISION_F32)
            ((float *)x)[i] = value + 1;
        else if (precision == PRECISION_BF16)
            ((uint16_t *)x)[i] = bf16_from_f32(value + 1);
        else
            ((uint8_t *)x)[i] = (uint8_t)lrintf(127.5F + 127.5F * value);
    }
}

/* The mean, over output pixels, of what a tap sees of a channel. */
static double tap_mean(enum precision precision, const struct conv_shape *s, const void *x,
                       int image, int tap, int c)
{
    double sum = 0;
    for (int row = 0; row < s->in_h; row++)
        for (int column = 0; column < s->in_w; column++) {
            int y = row - s->pad + tap / s->kernel, z = column - s->pad + tap % s->kernel;
            if (y >= 0 && y < s->in_h && z >= 0 && z < s->in_w)
                sum += element(precision, x,
                               (size_t)(((image * s->in_h + y) * s->in_w + z) * CHANNELS + c));
        }
    return sum / (s->in_h * s->in_w);
}

static void check_squeeze(enum precision precision, int kernel, int h, int w)
{
    static float x[IMAGES * EDGE_MAX * EDGE_MAX * CHANNELS], y[IMAGES * TAPS * CHANNELS + 1];
    const int taps = kernel * kernel;
    const struct conv_shape s = {h, w, CHANNELS, 1, 1, taps * CHANNELS, kernel, 1, kernel / 2, 1};
    double limit = precision == PRECISION_INT8 ? 1e-4 : 1e-6;
    fill(precision, x, (size_t)(IMAGES * h * w * CHANNELS));
    for (size_t i = 0; i < sizeof y / sizeof y[0]; i++)
        y[i] = 1e9F;
    for (int strip = IMAGES * sums_strips(CHANNELS); strip-- > 0;) /* in any order */
        attention_squeeze(precision, &s, x, precision == PRECISION_INT8 ? &quantization : NULL, y,
                          strip, strip + 1);
    for (int i = 0; i < IMAGES * taps * CHANNELS; i++) {
        double mean =
            tap_mean(precision, &s, x, i / (taps * CHANNELS), i / CHANNELS % taps, i % CHANNELS);
        ck_assert_msg(fabs((double)y[i] - mean) <= limit, "%s, kernel %d, %d x %d, %d: %g, not %g",
                      precision_name(precision), kernel, h, w, i, (double)y[i], mean);
    }
    ck_assert_float_eq(y[IMAGES * taps * CHANNELS], 1e9F);
}

/* 19 x 19 has more pixels than bytes whose sum fits 16 bits. */
START_TEST(squeeze_equals_plain_loops)
{
    static const int maps[][2] = {{1, 1}, {1, 7}, {7, 1}, {2, 2}, {2, 5}, {7, 7}, {19, 19}};
    fill_scales();
    for (enum precision precision = 0; precision < PRECISION_COUNT; precision++)
        for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++)
            for (int kernel = 1; kernel <= 3; kernel += 2)
                check_squeeze(precision, kernel, maps[i][0], maps[i][1]);
}
END_TEST

/* Sums of 16 bits at their limit. */
START_TEST(squeeze_holds_the_largest_bytes)
{
    const struct conv_shape s = {EDGE_MAX, EDGE_MAX, CHANNELS, 1, 1, CHANNELS, 1, 1, 0, 1};
    static uint8_t x[EDGE_MAX * EDGE_MAX * CHANNELS];
    static const float ones[CHANNELS] = {1}, zeros[CHANNELS];
    const struct quantization plain = {.scale = ones, .zero = zeros};
    float y[CHANNELS];
    memset(x, 255, sizeof x);
    attention_squeeze(PRECISION_INT8, &s, x, &plain, y, 0, sums_strips(CHANNELS));
    ck_assert_float_eq(y[0], 255);
}
END_TEST

enum { IN_MAX = 1030, OUT_MAX = 2060 };
static float weights[OUT_MAX * 130], bias[OUT_MAX], input[3 * IN_MAX], output[3 * OUT_MAX];
static uint16_t halves[sizeof weights / sizeof weights[0]];

static double apply(enum excite_function function, double x)
{
    return function == EXCITE_RELU      ? fmax(x, 0)
           : function == EXCITE_SIGMOID ? 1 / (1 + exp(-x))
                                        : fmin(fmax(x + 3, 0), 6) / 6;
}

static struct excite_call call_of(enum precision precision, const struct conv_shape *s,
                                  enum excite_function function, int images)
{
    return (struct excite_call){
        .precision = precision,
        .shape = s,
        .function = function,
        .weights = precision == PRECISION_F32 ? (const void *)weights : halves,
        .bias = bias,
        .x = input,
        .y = output,
        .images = images,
        .tile_end = attention_excite_tiles(s),
    };
}

/* As it should be; and the same bits from tiles one by one, and for an image alone. */
static void check_excite(enum precision precision, enum excite_function function, int in, int out,
                         int images)
{
    static float whole[3 * OUT_MAX];
    const struct conv_shape s = {1, 1, in, 1, 1, out, 1, 1, 0, 1};
    struct excite_call call = call_of(precision, &s, function, images);
    attention_excite(&call);
    for (int i = 0; i < images * out; i++) {
        double sum = bias[i % out], size = 1;
        for (int k = 0; k < in; k++) {
            int w = i % out * in + k;
            double term =
                (double)(precision == PRECISION_F32 ? weights[w] : f32_from_bf16(halves[w])) *
                (double)input[i / out * in + k];
            sum += term;
            size += fabs(term);
        }
        ck_assert_double_eq_tol((double)output[i], apply(function, sum), 3e-7 * size);
    }
    memcpy(whole, output, sizeof whole);
    memset(output, 0xff, sizeof output);
    for (int tile = call.tile_end; tile-- > 0;) {
        call.tile_begin = tile;
        call.tile_end = tile + 1;
        attention_excite(&call);
    }
    ck_assert_mem_eq(whole, output, (size_t)(images * out) * sizeof *output);
    call = call_of(precision, &s, function, 1);
    call.x = input + (images - 1) * in;
    attention_excite(&call);
    ck_assert_mem_eq(whole + (images - 1) * out, output, (size_t)out * sizeof *output);
}

START_TEST(excite_equals_plain_loops)
{
    static const int shapes[][2] = {{1, 1},   {3, 5},     {8, 16},    {9, 10},
                                    {37, 61}, {1030, 33}, {130, 2060}};
    uint64_t seed = 3;
    random_floats(&seed, weights, sizeof weights / sizeof weights[0]);
    random_floats(&seed, bias, OUT_MAX);
    random_floats(&seed, input, sizeof input / sizeof input[0]);
    for (size_t i = 0; i < sizeof weights / sizeof weights[0]; i++)
        halves[i] = bf16_from_f32(weights[i]);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (enum precision precision = PRECISION_F32; precision <= PRECISION_BF16; precision++)
            for (enum excite_function f = EXCITE_RELU; f <= EXCITE_HARD_SIGMOID; f++)
                for (int images = 1; images <= 3; images += 2)
                    check_excite(precision, f, shapes[i][0], shapes[i][1], images);
}
END_TEST

/* One output whose sum is `x`. */
static float function_at(enum excite_function function, float x)
{
    const struct conv_shape one = {1, 1, 1, 1, 1, 1, 1, 1, 0, 1};
    weights[0] = 0;
    input[0] = 0;
    bias[0] = x;
    struct excite_call call = call_of(PRECISION_F32, &one, function, 1);
    attention_excite(&call);
    return output[0];
}

START_TEST(functions_are_exact_everywhere)
{
    for (float x = -120; x <= 120; x += 0.0037F)
        for (enum excite_function f = EXCITE_SIGMOID; f <= EXCITE_HARD_SIGMOID; f++)
            ck_assert_double_eq_tol((double)function_at(f, x), apply(f, (double)x), 1.2e-7);
    ck_assert_float_eq(function_at(EXCITE_SIGMOID, INFINITY), 1);
    ck_assert_float_eq_tol(function_at(EXCITE_SIGMOID, -INFINITY), 0, 1e-30F);
    ck_assert_float_eq(function_at(EXCITE_SIGMOID, 0), 0.5F);
    ck_assert_float_eq(function_at(EXCITE_HARD_SIGMOID, -INFINITY), 0);
    ck_assert_float_eq(function_at(EXCITE_RELU, -1), 0);
    ck_assert_float_eq(function_at(EXCITE_RELU, 1e30F), 1e30F);
}
END_TEST

START_TEST(a_nan_stays_a_nan)
{
    for (enum excite_function f = EXCITE_RELU; f <= EXCITE_HARD_SIGMOID; f++) {
        ck_assert(isnan(function_at(f, NAN)));
        ck_assert(isnan(function_at(f, -NAN)));
    }
}
END_TEST

TEST_MAIN("nn/attention", 20, squeeze_equals_plain_loops, squeeze_holds_the_largest_bytes,
          excite_equals_plain_loops, functions_are_exact_everywhere, a_nan_stays_a_nan)
