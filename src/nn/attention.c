#include "nn/attention.h"

#include "base/check.h"
#include "base/size.h"
#include "kernel/isa/generic.h"
#include "nn/sums.h"

/* Inlined where arguments are constants. */
#define INLINE static inline __attribute__((always_inline))

/* A tile has outputs that fill a cache line and, if there are as many, TILE_WEIGHTS weights, so
 * that it takes longer than handing it to a thread. ROWS rows share what is loaded of x. */
enum { TAPS_MAX = 3, TILE_OUTPUTS = 16, TILE_WEIGHTS = 1 << 14, ROWS = LANES, PAIR = 2 * LANES };

/* The tap at (dy, dx) from a kernel's centre never sees the row, and the column, at the edge away
 * from it: adds the pixels where they cross, of that row if dx is 0, of that column if dy is 0, or
 * of the whole map. */
static void sum_missed(enum precision precision, const struct conv_shape *s, const void *x, int dy,
                       int dx, size_t count, double *sums)
{
    size_t pixel = (size_t)s->in_c, row = (size_t)s->in_w * pixel;
    size_t rows = (size_t)(dy ? 1 : s->in_h), columns = (size_t)(dx ? 1 : s->in_w);
    size_t first = dy < 0 ? (size_t)(s->in_h - 1) * row : 0;
    first += dx < 0 ? row - pixel : 0;
    sums_add(precision, (const unsigned char *)x + first * precision_size(precision),
             dx ? row : pixel, rows * columns, count, sums);
}

/* [dy + 1][dx + 1] */
typedef double missed_sums[TAPS_MAX][TAPS_MAX][SUMS_CHANNELS];

static double seen_sum(missed_sums sums, int dy, int dx, size_t c)
{
    double sum = sums[1][1][c];
    if (dy)
        sum -= sums[dy + 1][1][c];
    if (dx)
        sum -= sums[1][dx + 1][c];
    return dy && dx ? sum + sums[dy + 1][dx + 1][c] : sum;
}

/* The means of one tap. `q` is NULL or begins at the first of the channels. */
static void put_means(const struct conv_shape *s, missed_sums sums, int dy, int dx,
                      const struct quantization *q, float *y, size_t count)
{
    double pixels = (double)s->in_h * s->in_w, seen = (double)(s->in_h - !!dy) * (s->in_w - !!dx);
    for (size_t c = 0; c < count; c++) {
        double sum = seen_sum(sums, dy, dx, c);
        y[c] = (float)(q ? (sum - seen * (double)q->zero[c]) / pixels * (double)q->scale[c]
                         : sum / pixels);
    }
}

static void squeeze_strip(enum precision precision, const struct conv_shape *s, const void *x,
                          const struct quantization *q, float *y, size_t count)
{
    missed_sums sums = {{{0}}};
    int reach = s->kernel / 2;
    for (int dy = -reach; dy <= reach; dy++)
        for (int dx = -reach; dx <= reach; dx++)
            sum_missed(precision, s, x, dy, dx, count, sums[dy + 1][dx + 1]);
    for (int dy = -reach; dy <= reach; dy++)
        for (int dx = -reach; dx <= reach; dx++, y += s->in_c)
            put_means(s, sums, dy, dx, q, y, count);
}

void attention_squeeze(enum precision precision, const struct conv_shape *s, const void *x,
                       const struct quantization *q, float *y, int begin, int end)
{
    CHECK(s->kernel == 1 || s->kernel == TAPS_MAX);
    size_t channels = (size_t)s->in_c, strips = (size_t)sums_strips(s->in_c);
    size_t image_size = (size_t)s->in_h * (size_t)s->in_w * channels;
    for (size_t i = (size_t)begin; i < (size_t)end; i++) {
        size_t image = i / strips, at = i % strips * SUMS_CHANNELS;
        struct quantization here = {0};
        if (q)
            here = (struct quantization){.scale = q->scale + at, .zero = q->zero + at};
        squeeze_strip(precision, s,
                      (const unsigned char *)x +
                          (image * image_size + at) * precision_size(precision),
                      q ? &here : NULL, y + image * (size_t)s->out_c + at,
                      channels - at < SUMS_CHANNELS ? channels - at : SUMS_CHANNELS);
    }
}

/* e^x to 1e-7 of it for -87 <= x <= 87: 2^n times e^r, with n whole and |r| <= ln(2) / 2, by the
 * polynomial of the Cephes library. */
static vecf exponential(vecf x)
{
    static const float terms[] = {1.3981999507e-3F, 8.3334519073e-3F, 4.1665795894e-2F,
                                  1.6666665459e-1F, 5.0000001201e-1F};
    const vecf large = (vecf){0} + 0x1.8p23F; /* leaves no space for a fraction */
    vecf n = x * 1.44269504F + large, p = (vecf){0} + 1.9875691500e-4F;
    vec power = ((vec)n - (vec)large + 127) << 23;
    n -= large;
    vecf r = x - n * 0.693359375F + n * 2.12194440e-4F;
    for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++)
        p = p * r + terms[i];
    return (p * r * r + r + 1) * (vecf)power;
}

/* NaNs stay NaNs. */
static vecf clip(vecf x, float min, float max)
{
    const vecf low = (vecf){0} + min, high = (vecf){0} + max;
    return vec_select(x < low, low, vec_select(x > high, high, x));
}

static vecf apply(enum excite_function function, vecf x)
{
    if (function == EXCITE_SIGMOID)
        return 1 / (1 + exponential(clip(-x, -87, 87)));
    return function == EXCITE_RELU ? vec_relu(x) : clip(x / 6 + 0.5F, 0, 1);
}

INLINE float weight_at(enum precision precision, const void *weights, size_t at)
{
    return precision == PRECISION_F32 ? ((const float *)weights)[at]
                                      : f32_from_bf16(((const uint16_t *)weights)[at]);
}

/* PAIR elements in two vectors: the first half and the second of float32, the even and the odd of
 * bfloat16. */
struct pair {
    vecf a, b;
};

INLINE struct pair load_weights(enum precision precision, const void *weights, size_t at)
{
    vec both;
    if (precision == PRECISION_F32)
        return (struct pair){vecf_load((const float *)weights + at),
                             vecf_load((const float *)weights + at + LANES)};
    memcpy(&both, (const uint16_t *)weights + at, sizeof both);
    return (struct pair){(vecf)(both << 16), (vecf)(both & (int32_t)0xffff0000)};
}

INLINE struct pair load_inputs(enum precision precision, const float *x)
{
    vecf a = vecf_load(x), b = vecf_load(x + LANES);
    if (precision == PRECISION_F32)
        return (struct pair){a, b};
    return (struct pair){__builtin_shufflevector(a, b, 0, 2, 4, 6),
                         __builtin_shufflevector(a, b, 1, 3, 5, 7)};
}

/* The sum of each vector's elements. */
static vecf add_across(const vecf v[ROWS])
{
    vecf a = __builtin_shufflevector(v[0], v[1], 0, 4, 1, 5) +
             __builtin_shufflevector(v[0], v[1], 2, 6, 3, 7);
    vecf b = __builtin_shufflevector(v[2], v[3], 0, 4, 1, 5) +
             __builtin_shufflevector(v[2], v[3], 2, 6, 3, 7);
    return __builtin_shufflevector(a, b, 0, 1, 4, 5) + __builtin_shufflevector(a, b, 2, 3, 6, 7);
}

/* The products of x with `rows` rows, a constant number, of `each` weights. The order of additions
 * in a row does not depend on how many rows there are. */
INLINE vecf multiply_rows(enum precision precision, const void *weights, size_t first, size_t each,
                          const float *x, size_t rows)
{
    vecf a[ROWS] = {{0}}, b[ROWS] = {{0}};
    size_t i = 0;
    for (; i + PAIR <= each; i += PAIR) {
        struct pair in = load_inputs(precision, x + i);
        for (size_t r = 0; r < rows; r++) {
            struct pair w = load_weights(precision, weights, first + r * each + i);
            a[r] += w.a * in.a;
            b[r] += w.b * in.b;
        }
    }
    for (size_t r = 0; r < rows; r++)
        a[r] += b[r];
    vecf products = add_across(a);
    for (; i < each; i++)
        for (size_t r = 0; r < rows; r++)
            products[r] += x[i] * weight_at(precision, weights, first + r * each + i);
    return products;
}

/* Outputs [row, row + rows) of all images: only the first image waits for the weights. */
INLINE void excite_rows(enum precision precision, const struct excite_call *call, size_t row,
                        size_t rows)
{
    size_t each = (size_t)call->shape->in_c, outputs = (size_t)call->shape->out_c;
    vecf bias = {0};
    memcpy(&bias, call->bias + row, rows * sizeof *call->bias);
    for (size_t i = 0; i < (size_t)call->images; i++) {
        vecf sums =
            multiply_rows(precision, call->weights, row * each, each, call->x + i * each, rows);
        vecf y = apply(call->function, sums + bias);
        memcpy(call->y + i * outputs + row, &y, rows * sizeof *call->y);
    }
}

INLINE void excite(enum precision precision, const struct excite_call *call, size_t row,
                   size_t last)
{
    for (; row + ROWS <= last; row += ROWS)
        excite_rows(precision, call, row, ROWS);
    for (; row < last; row++)
        excite_rows(precision, call, row, 1);
}

double attention_reach(const struct conv_shape *s, const float *weights, const float *bias,
                       double reach)
{
    size_t each = (size_t)s->in_c;
    double max = 0;
    for (size_t o = 0; o < (size_t)s->out_c; o++, weights += each) {
        double sum = fabs((double)bias[o]);
        for (size_t i = 0; i < each; i++)
            sum += fabs((double)weights[i]) * reach;
        max = sum > max ? sum : max;
    }
    return max;
}

static size_t tile_outputs(const struct conv_shape *s)
{
    return size_round_up(size_ceil_div(TILE_WEIGHTS, (size_t)s->in_c), TILE_OUTPUTS);
}

int attention_excite_tiles(const struct conv_shape *s)
{
    return (int)size_ceil_div((size_t)s->out_c, tile_outputs(s));
}

void attention_excite(const struct excite_call *call)
{
    size_t each = tile_outputs(call->shape), outputs = (size_t)call->shape->out_c;
    size_t row = (size_t)call->tile_begin * each, last = (size_t)call->tile_end * each;
    last = last < outputs ? last : outputs;
    if (call->precision == PRECISION_F32)
        excite(PRECISION_F32, call, row, last);
    else
        excite(PRECISION_BF16, call, row, last);
}
