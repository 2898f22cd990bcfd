#include "nn/attention.h"

#include <math.h>

#include "base/check.h"
#include "base/size.h"
#include "kernel/isa/generic.h"
#include "nn/sums.h"

/* Inlined where arguments are constants. */
#define INLINE static inline __attribute__((always_inline))

/* A tile has outputs that fill a cache line and, if there are as many, TILE_WEIGHTS weights, so
 * that it takes longer than handing it to a thread. ROWS rows share what is loaded of x. */
enum { TAPS_MAX = 3, TILE_OUTPUTS = 16, TILE_WEIGHTS = 1 << 14, ROWS = 4 };

/* Which pixels the tap at (dy, dx) from a kernel's centre never sees: the row at the edge away from
 * it and the column. The four sums are over the map, that row, that column, and where they cross;
 * a direction of 0 stands for all rows or columns. */
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

int attention_strips(const struct conv_shape *s)
{
    return (s->in_c + SUMS_CHANNELS - 1) / SUMS_CHANNELS;
}

void attention_squeeze(enum precision precision, const struct conv_shape *s, const void *x,
                       const struct quantization *q, float *y, int begin, int end)
{
    CHECK(s->kernel == 1 || s->kernel == TAPS_MAX);
    size_t channels = (size_t)s->in_c, strips = (size_t)attention_strips(s);
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

static float apply(enum excite_function function, float x)
{
    if (function == EXCITE_SIGMOID)
        return 1 / (1 + expf(-x));
    if (function == EXCITE_HARD_SIGMOID)
        x = x / 6 + 0.5F;
    x = x < 0 ? 0 : x; /* a NaN stays one */
    return function == EXCITE_HARD_SIGMOID && x > 1 ? 1 : x;
}

/* The products of x with `rows` rows of `each` weights, a constant number. The order of additions
 * in a row does not depend on how many there are. */
INLINE void multiply_rows(const float *weights, size_t each, const float *x, size_t rows,
                          float products[ROWS])
{
    vecf even[ROWS] = {{0}}, odd[ROWS] = {{0}};
    size_t i = 0;
    for (; i + 2 * LANES <= each; i += 2 * LANES)
        for (size_t r = 0; r < rows; r++) {
            even[r] += vecf_load(weights + r * each + i) * vecf_load(x + i);
            odd[r] += vecf_load(weights + r * each + i + LANES) * vecf_load(x + i + LANES);
        }
    for (size_t r = 0; r < rows; r++) {
        vecf sums = even[r] + odd[r];
        products[r] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
        for (size_t k = i; k < each; k++)
            products[r] += weights[r * each + k] * x[k];
    }
}

/* Up to ROWS outputs of all images: only the first image waits for the weights. */
static void excite_rows(const struct conv_shape *s, enum excite_function function,
                        const float *weights, const float *bias, const float *x, float *y,
                        int images, size_t rows)
{
    for (int image = 0; image < images; image++, x += s->in_c, y += s->out_c) {
        float products[ROWS];
        if (rows == ROWS)
            multiply_rows(weights, (size_t)s->in_c, x, ROWS, products);
        else
            for (size_t r = 0; r < rows; r++)
                multiply_rows(weights + r * (size_t)s->in_c, (size_t)s->in_c, x, 1, products + r);
        for (size_t r = 0; r < rows; r++)
            y[r] = apply(function, products[r] + bias[r]);
    }
}

static size_t tile_outputs(const struct conv_shape *s)
{
    return size_round_up(size_ceil_div(TILE_WEIGHTS, (size_t)s->in_c), TILE_OUTPUTS);
}

int attention_excite_tiles(const struct conv_shape *s)
{
    return (int)size_ceil_div((size_t)s->out_c, tile_outputs(s));
}

void attention_excite(const struct conv_shape *s, enum excite_function function,
                      const float *weights, const float *bias, const float *x, float *y, int images,
                      int begin, int end)
{
    size_t last = (size_t)end * tile_outputs(s);
    last = last < (size_t)s->out_c ? last : (size_t)s->out_c;
    for (size_t row = (size_t)begin * tile_outputs(s); row < last; row += ROWS)
        excite_rows(s, function, weights + row * (size_t)s->in_c, bias + row, x, y + row, images,
                    last - row < ROWS ? last - row : ROWS);
}
