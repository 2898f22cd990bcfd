#include "nn/pool.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "nn/sums.h"
#include "tests/random.h"
#include "tests/suite.h"

/* More than a strip of channels and no multiple of one. */
enum { CHANNELS = 83, IMAGES = 3 };

/* An element as a number; for int8 the byte itself. */
static float element(enum precision precision, const void *x, size_t at)
{
    return precision == PRECISION_F32    ? ((const float *)x)[at]
           : precision == PRECISION_BF16 ? f32_from_bf16(((const uint16_t *)x)[at])
                                         : (float)((const uint8_t *)x)[at];
}

/* All negative where there is a sign: padding with 0 would win a maximum. */
static void fill(enum precision precision, void *x, size_t count)
{
    uint64_t seed = 7;
    for (size_t i = 0; i < count; i++) {
        float value;
        random_floats(&seed, &value, 1);
        if (precision == PRECISION_F32)
            ((float *)x)[i] = value - 2;
        else if (precision == PRECISION_BF16)
            ((uint16_t *)x)[i] = bf16_from_f32(value - 2);
        else
            ((uint8_t *)x)[i] = (uint8_t)(random_next(&seed) >> 32);
    }
}

/* What a window's numbers become. */
enum window { MAXIMUM, MEAN, BLUR };

static int reflected(int i, int size)
{
    return i < 0 ? -i : i >= size ? 2 * (size - 1) - i : i;
}

static double window_at(enum window kind, enum precision precision, const struct conv_shape *s,
                        const void *x, int image, int oy, int ox, int c)
{
    static const double weights[] = {0.25, 0.5, 0.25};
    double best = -INFINITY, sum = 0, count = 0, blurred = 0;
    for (int ky = 0; ky < s->kernel; ky++)
        for (int kx = 0; kx < s->kernel; kx++) {
            int y = oy * s->stride - s->pad + ky, column = ox * s->stride - s->pad + kx;
            bool inside = y >= 0 && column >= 0 && y < s->in_h && column < s->in_w;
            if (!inside && kind != BLUR)
                continue;
            y = reflected(y, s->in_h);
            column = reflected(column, s->in_w);
            size_t at = (size_t)(((image * s->in_h + y) * s->in_w + column) * CHANNELS + c);
            double value = (double)element(precision, x, at);
            best = fmax(best, value);
            sum += value;
            count++;
            blurred += weights[ky % 3] * weights[kx % 3] * value;
        }
    return kind == MAXIMUM ? best : kind == MEAN ? sum / count : blurred;
}

typedef void pool_function(enum precision precision, const struct conv_shape *s, const void *x,
                           void *y, int row_begin, int row_end);
static pool_function *const functions[] = {pool_max, pool_mean, pool_blur};

/* Bytes are exact, halves rounded up. */
static void check_element(enum precision precision, double value, double want)
{
    if (precision == PRECISION_INT8)
        ck_assert_double_eq(value, floor(want + 0.5));
    else
        ck_assert_double_eq_tol(value, want,
                                (precision == PRECISION_F32 ? 0 : fabs(want) / 256) + 4e-7);
}

enum { EDGE_MAX = 11 };

static void check_windows(enum window kind, enum precision precision, const struct conv_shape *s)
{
    static float x[IMAGES * EDGE_MAX * EDGE_MAX * CHANNELS],
        y[IMAGES * EDGE_MAX * EDGE_MAX * CHANNELS];
    size_t count = (size_t)(IMAGES * s->in_h * s->in_w * CHANNELS);
    fill(precision, x, count);
    if (precision == PRECISION_BF16)
        for (size_t i = 0; i < count; i += 5)
            ((uint16_t *)(void *)x)[i] ^= 0x8000;
    for (int row = IMAGES * s->out_h; row-- > 0;) /* rows in any order */
        functions[kind](precision, s, x, y, row, row + 1);
    for (int image = 0; image < IMAGES; image++)
        for (int oy = 0; oy < s->out_h; oy++)
            for (int ox = 0; ox < s->out_w; ox++)
                for (int c = 0; c < CHANNELS; c++) {
                    size_t at = (size_t)(((image * s->out_h + oy) * s->out_w + ox) * CHANNELS + c);
                    check_element(precision, (double)element(precision, y, at),
                                  window_at(kind, precision, s, x, image, oy, ox, c));
                }
}

static void check_shapes(enum window kind, const struct conv_shape *shapes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (enum precision precision = 0; precision < PRECISION_COUNT; precision++)
            check_windows(kind, precision, &shapes[i]);
}

/* bfloat16 is compared as bits: numbers on both sides of 0 must stand in order too. With stride 1,
 * and with windows that end outside the map. */
START_TEST(max_equals_plain_loops)
{
    static const struct conv_shape shapes[] = {
        {11, 8, CHANNELS, 6, 4, CHANNELS, 3, 2, 1, 1}, {5, 6, CHANNELS, 5, 6, CHANNELS, 3, 1, 1, 1},
        {8, 11, CHANNELS, 4, 5, CHANNELS, 3, 2, 0, 1}, {8, 4, CHANNELS, 4, 2, CHANNELS, 3, 2, 0, 1},
        {1, 1, CHANNELS, 1, 1, CHANNELS, 3, 2, 1, 1},
    };
    check_shapes(MAXIMUM, shapes, sizeof shapes / sizeof shapes[0]);
}
END_TEST

START_TEST(mean_equals_plain_loops)
{
    static const struct conv_shape shapes[] = {
        {8, 6, CHANNELS, 4, 3, CHANNELS, 2, 2, 0, 1}, {7, 5, CHANNELS, 4, 3, CHANNELS, 2, 2, 0, 1},
        {7, 5, CHANNELS, 3, 2, CHANNELS, 2, 2, 0, 1}, {1, 3, CHANNELS, 1, 2, CHANNELS, 2, 2, 0, 1},
        {1, 1, CHANNELS, 1, 1, CHANNELS, 2, 2, 0, 1},
    };
    check_shapes(MEAN, shapes, sizeof shapes / sizeof shapes[0]);
}
END_TEST

START_TEST(blur_equals_plain_loops)
{
    static const struct conv_shape shapes[] = {
        {8, 6, CHANNELS, 4, 3, CHANNELS, 3, 2, 1, 1},
        {7, 5, CHANNELS, 4, 3, CHANNELS, 3, 2, 1, 1},
        {2, 3, CHANNELS, 1, 2, CHANNELS, 3, 2, 1, 1},
        {2, 2, CHANNELS, 1, 1, CHANNELS, 3, 2, 1, 1},
    };
    check_shapes(BLUR, shapes, sizeof shapes / sizeof shapes[0]);
}
END_TEST

static void check_nan(enum window kind, enum precision precision, uint32_t nan, int at)
{
    static const struct conv_shape shapes[] = {
        [MAXIMUM] = {3, 3, CHANNELS, 1, 1, CHANNELS, 3, 1, 0, 1},
        [MEAN] = {2, 2, CHANNELS, 1, 1, CHANNELS, 2, 2, 0, 1},
        [BLUR] = {2, 2, CHANNELS, 1, 1, CHANNELS, 3, 2, 1, 1},
    };
    static float x[9 * CHANNELS], y[CHANNELS];
    const struct conv_shape *s = &shapes[kind];
    if (at >= s->in_h * s->in_w)
        return;
    fill(precision, x, 9 * CHANNELS);
    for (int c = 0; c < CHANNELS; c += 2)
        if (precision == PRECISION_F32)
            memcpy(&x[at * CHANNELS + c], &nan, sizeof nan);
        else
            ((uint16_t *)(void *)x)[at * CHANNELS + c] = (uint16_t)(nan >> 16);
    functions[kind](precision, s, x, y, 0, 1);
    for (size_t c = 0; c < CHANNELS; c++)
        ck_assert_int_eq(isnan(element(precision, y, c)) != 0, c % 2 == 0);
}

/* As in PyTorch: what a convolution got wrong must not be hidden by the pool behind it. */
START_TEST(a_nan_among_numbers_makes_a_nan)
{
    static const uint32_t nans[] = {0x7fc00000, 0xffc00000};
    for (enum window kind = MAXIMUM; kind <= BLUR; kind++)
        for (enum precision precision = 0; precision < PRECISION_INT8; precision++)
            for (int at = 0; at < 9; at++)
                for (size_t sign = 0; sign < 2; sign++)
                    check_nan(kind, precision, nans[sign], at);
}
END_TEST

/* Each number that bfloat16 has, zeros of both signs and denormal ones included, comes out as it
 * went in; a NaN, as a NaN. */
START_TEST(the_most_of_equal_numbers_is_that_number)
{
    enum { EACH = 64, PIXELS = 4 };
    const struct conv_shape s = {2, 2, EACH, 1, 1, EACH, 2, 1, 0, 1};
    uint16_t x[PIXELS * EACH], y[EACH];
    for (uint32_t first = 0; first <= UINT16_MAX; first += EACH) {
        for (uint32_t i = 0; i < PIXELS * EACH; i++)
            x[i] = (uint16_t)(first + i % EACH);
        pool_max(PRECISION_BF16, &s, x, y, 0, 1);
        for (uint32_t c = 0; c < EACH; c++)
            if (isnan(f32_from_bf16(x[c])))
                ck_assert(isnan(f32_from_bf16(y[c])));
            else
                ck_assert_uint_eq(y[c], x[c]);
    }
}
END_TEST

/* A call computes its rows and touches nothing else. */
START_TEST(rows_outside_the_range_are_left_alone)
{
    const struct conv_shape s = {6, 6, CHANNELS, 3, 3, CHANNELS, 3, 2, 1, 1};
    static uint8_t x[2 * 36 * CHANNELS], y[2 * 9 * CHANNELS], whole[2 * 9 * CHANNELS];
    fill(PRECISION_INT8, x, sizeof x);
    memset(y, 0x5a, sizeof y);
    pool_max(PRECISION_INT8, &s, x, whole, 0, 6);
    pool_max(PRECISION_INT8, &s, x, y, 2, 5);
    const size_t row = 3 * CHANNELS;
    for (size_t i = 0; i < sizeof y; i++)
        ck_assert_uint_eq(y[i], i >= 2 * row && i < 5 * row ? whole[i] : 0x5a);
}
END_TEST

/* The mean of a channel of an image, in double. */
static double mean_of(enum precision precision, const void *x, int image, int c)
{
    double sum = 0;
    for (int p = 0; p < 35; p++)
        sum += (double)element(precision, x, (size_t)((image * 35 + p) * CHANNELS + c));
    return sum / 35;
}

START_TEST(average_equals_the_mean)
{
    const struct conv_shape s = {7, 5, CHANNELS, 1, 1, CHANNELS, 7, 1, 0, 1};
    static float x[IMAGES * 35 * CHANNELS], y[IMAGES * CHANNELS];
    for (enum precision precision = PRECISION_F32; precision <= PRECISION_BF16; precision++) {
        fill(precision, x, sizeof x / sizeof x[0]);
        pool_average(precision, &s, x, NULL, y, 1, IMAGES * sums_strips(CHANNELS));
        pool_average(precision, &s, x, NULL, y, 0, 1);
        for (int image = 0; image < IMAGES; image++)
            for (int c = 0; c < CHANNELS; c++) {
                double mean = mean_of(precision, x, image, c);
                double max = precision == PRECISION_F32 ? 1e-6 : fabs(mean) / 256 + 1e-6;
                ck_assert_double_eq_tol(
                    (double)element(precision, y, (size_t)(image * CHANNELS + c)), mean, max);
            }
    }
}
END_TEST

/* The mean of the numbers that the bytes stand for. */
START_TEST(an_int8_average_is_float32)
{
    const struct conv_shape s = {7, 5, CHANNELS, 1, 1, CHANNELS, 7, 1, 0, 1};
    static uint8_t x[IMAGES * 35 * CHANNELS];
    static float y[IMAGES * CHANNELS], scale[CHANNELS], zero[CHANNELS];
    uint64_t seed = 3;
    fill(PRECISION_INT8, x, sizeof x);
    random_floats(&seed, scale, CHANNELS);
    for (int c = 0; c < CHANNELS; c++) {
        scale[c] = 1.5F + scale[c];
        zero[c] = (float)(c % 256);
    }
    const struct quantization q = {.scale = scale, .zero = zero};
    pool_average(PRECISION_INT8, &s, x, &q, y, 1, IMAGES * sums_strips(CHANNELS));
    pool_average(PRECISION_INT8, &s, x, &q, y, 0, 1);
    for (int image = 0; image < IMAGES; image++)
        for (int c = 0; c < CHANNELS; c++) {
            double mean = mean_of(PRECISION_INT8, x, image, c);
            double right = (mean - (double)zero[c]) * (double)scale[c];
            ck_assert_double_eq_tol((double)y[image * CHANNELS + c], right, 1e-7 * fabs(right));
        }
}
END_TEST

enum { LARGE = 1024, LARGE_PIXELS = LARGE * LARGE, LARGE_CHANNELS = 2 };

static const struct conv_shape large = {
    LARGE, LARGE, LARGE_CHANNELS, 1, 1, LARGE_CHANNELS, LARGE, 1, 0, 1};

/* Values about 1 whose sums in float32 all round the same way, and random ones. */
START_TEST(the_mean_of_a_large_map_is_exact_in_f32)
{
    float *x = malloc(sizeof(float) * LARGE_PIXELS * LARGE_CHANNELS), y[LARGE_CHANNELS];
    double sum = 0;
    uint64_t seed = 11;
    ck_assert_ptr_nonnull(x);
    random_floats(&seed, x, (size_t)LARGE_PIXELS * LARGE_CHANNELS);
    for (size_t p = 0; p < LARGE_PIXELS; p++) {
        x[2 * p] = 1.1F;
        x[2 * p + 1] += 1;
        sum += (double)x[2 * p + 1];
    }
    pool_average(PRECISION_F32, &large, x, NULL, y, 0, 1);
    ck_assert_double_eq_tol((double)y[0], (double)1.1F, 1e-6);
    ck_assert_double_eq_tol((double)y[1], sum / LARGE_PIXELS, 1e-6);
    free(x);
}
END_TEST

/* The mean is 1.5e-6 above the middle of two bfloat16 numbers, and as much below. */
START_TEST(the_mean_of_a_large_map_is_exact_in_bf16)
{
    const uint16_t one = bf16_from_f32(1), next = one + 1;
    const size_t half = LARGE_PIXELS / 2, more = 200;
    uint16_t *x = malloc(sizeof *x * LARGE_PIXELS * LARGE_CHANNELS), y[LARGE_CHANNELS];
    ck_assert_ptr_nonnull(x);
    for (size_t p = 0; p < LARGE_PIXELS; p++) {
        size_t shuffled = p * 7919 % LARGE_PIXELS;
        x[2 * p] = shuffled < half + more ? next : one;
        x[2 * p + 1] = shuffled < half - more ? next : one;
    }
    pool_average(PRECISION_BF16, &large, x, NULL, y, 0, 1);
    ck_assert_uint_eq(y[0], next);
    ck_assert_uint_eq(y[1], one);
    free(x);
}
END_TEST

START_TEST(the_mean_of_a_large_map_is_exact_in_int8)
{
    const float scale[LARGE_CHANNELS] = {1, 1}, zero[LARGE_CHANNELS] = {254, 254};
    const struct quantization q = {.scale = scale, .zero = zero};
    uint8_t *x = malloc((size_t)LARGE_PIXELS * LARGE_CHANNELS);
    float y[LARGE_CHANNELS];
    ck_assert_ptr_nonnull(x);
    for (size_t p = 0; p < LARGE_PIXELS; p++) {
        x[2 * p] = p % 4 ? 255 : 254;
        x[2 * p + 1] = p % 4 ? 254 : 255;
    }
    pool_average(PRECISION_INT8, &large, x, &q, y, 0, 1);
    ck_assert(y[0] == 0.75F && y[1] == 0.25F);
    free(x);
}
END_TEST

TEST_MAIN("nn/pool", 10, max_equals_plain_loops, mean_equals_plain_loops, blur_equals_plain_loops,
          a_nan_among_numbers_makes_a_nan, the_most_of_equal_numbers_is_that_number,
          rows_outside_the_range_are_left_alone, average_equals_the_mean,
          an_int8_average_is_float32, the_mean_of_a_large_map_is_exact_in_f32,
          the_mean_of_a_large_map_is_exact_in_bf16, the_mean_of_a_large_map_is_exact_in_int8)
