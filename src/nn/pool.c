#include "nn/pool.h"

#include <math.h>

#include "base/check.h"
#include "kernel/isa/generic.h"
#include "nn/sums.h"

/* Inlined where `count` is a constant. */
#define INLINE static inline __attribute__((always_inline))

/* Bytes of channels compared at a time. */
enum { STRIP_BYTES = 64 };

/* The part of a window that lies inside the map. */
struct window {
    const unsigned char *first;
    int rows, columns;
    size_t row; /* bytes from one row to the next */
};

static struct window window_at(const struct conv_shape *s, const unsigned char *image, size_t pixel,
                               int top, int left)
{
    int first_row = top < 0 ? 0 : top, first_column = left < 0 ? 0 : left;
    int end_row = top + s->kernel < s->in_h ? top + s->kernel : s->in_h;
    int end_column = left + s->kernel < s->in_w ? left + s->kernel : s->in_w;
    size_t row = (size_t)s->in_w * pixel;
    return (struct window){
        .first = image + (size_t)first_row * row + (size_t)first_column * pixel,
        .rows = end_row - first_row,
        .columns = end_column - first_column,
        .row = row,
    };
}

/* As in PyTorch, the maximum of a NaN and a number is the NaN. */
static float max_1(float x, float max)
{
    return x > max || isnan(x) ? x : max;
}

/* Four vectors of maxima stay in registers during the loop over the window. */
static void max_16(const struct window *w, size_t pixel, float *y)
{
    const float *first = (const float *)(const void *)w->first;
    vecf max[4];
    for (size_t i = 0; i < 4; i++)
        max[i] = vecf_load(first + LANES * i);
    for (int r = 0; r < w->rows; r++)
        for (int c = 0; c < w->columns; c++) {
            const float *at =
                (const float *)(const void *)(w->first + (size_t)r * w->row + (size_t)c * pixel);
            for (size_t i = 0; i < 4; i++) {
                vecf x = vecf_load(at + LANES * i);
                max[i] = (vecf)((vec)vec_max(x, max[i]) | (x != x));
            }
        }
    memcpy(y, max, sizeof max);
}

static void max_f32(struct window w, size_t pixel, size_t count, float *y)
{
    for (; count >= 16; count -= 16, y += 16, w.first += 16 * sizeof *y)
        max_16(&w, pixel, y);
    memcpy(y, w.first, count * sizeof *y);
    for (int r = 0; r < w.rows; r++)
        for (int c = 0; c < w.columns; c++) {
            const float *x =
                (const float *)(const void *)(w.first + (size_t)r * w.row + (size_t)c * pixel);
            for (size_t i = 0; i < count; i++)
                y[i] = max_1(x[i], y[i]);
        }
}

/* Bits of bfloat16 compare as integers once those of negative numbers are inverted. Its own
 * inverse. */
static int16_t turn_negative(int16_t bits)
{
    return (int16_t)(bits ^ (bits >> 15 & 0x7fff));
}

/* NaNs lose their sign, so that they are greater than all numbers. */
static int16_t in_order(int16_t bits)
{
    int16_t magnitude = bits & 0x7fff;
    return magnitude > 0x7f80 ? magnitude : turn_negative(bits);
}

/* The two functions below keep the maxima in registers during the loop over a window. */
INLINE void max_bf16(const struct window *w, size_t pixel, size_t count, int16_t *y)
{
    int16_t max[STRIP_BYTES / 2];
    memcpy(max, w->first, count * sizeof *max);
    for (size_t i = 0; i < count; i++)
        max[i] = in_order(max[i]);
    for (int r = 0; r < w->rows; r++)
        for (int c = 0; c < w->columns; c++) {
            const int16_t *x =
                (const int16_t *)(const void *)(w->first + (size_t)r * w->row + (size_t)c * pixel);
            for (size_t i = 0; i < count; i++)
                max[i] = in_order(x[i]) > max[i] ? in_order(x[i]) : max[i];
        }
    for (size_t i = 0; i < count; i++)
        y[i] = turn_negative(max[i]);
}

/* Vectors stay in registers if `rows`, `columns` and `count` are constants. */
INLINE void max_int8(const struct window *w, int rows, int columns, size_t pixel, size_t count,
                     uint8_t *y)
{
    uint8_t max[STRIP_BYTES];
    memcpy(max, w->first, count);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++) {
            const uint8_t *x = w->first + (size_t)r * w->row + (size_t)c * pixel;
            for (size_t i = 0; i < count; i++)
                max[i] = x[i] > max[i] ? x[i] : max[i];
        }
    memcpy(y, max, count);
}

/* One output pixel. */
static void max_window(enum precision precision, struct window w, size_t channels, size_t pixel,
                       unsigned char *y)
{
    size_t size = precision_size(precision), strip = STRIP_BYTES / size;
    if (precision == PRECISION_F32) {
        max_f32(w, pixel, channels, (float *)(void *)y);
        return;
    }
    for (size_t left = channels, count; left > 0; left -= count) {
        bool whole = left >= strip;
        count = whole ? strip : left;
        /* A constant count is what lets the compiler use registers. */
        if (precision == PRECISION_BF16 && whole)
            max_bf16(&w, pixel, STRIP_BYTES / 2, (int16_t *)(void *)y);
        else if (precision == PRECISION_BF16)
            max_bf16(&w, pixel, count, (int16_t *)(void *)y);
        else if (whole && w.rows == 3 && w.columns == 3)
            max_int8(&w, 3, 3, pixel, STRIP_BYTES, y);
        else
            max_int8(&w, w.rows, w.columns, pixel, count, y);
        w.first += count * size;
        y += count * size;
    }
}

void pool_max(enum precision precision, const struct conv_shape *s, const void *x, void *y,
              int row_begin, int row_end)
{
    size_t pixel = (size_t)s->in_c * precision_size(precision);
    size_t image = (size_t)s->in_h * (size_t)s->in_w * pixel;
    unsigned char *out = (unsigned char *)y + (size_t)row_begin * (size_t)s->out_w * pixel;
    for (int row = row_begin; row < row_end; row++)
        for (int c = 0; c < s->out_w; c++, out += pixel)
            max_window(precision,
                       window_at(s, (const unsigned char *)x + (size_t)(row / s->out_h) * image,
                                 pixel, row % s->out_h * s->stride - s->pad,
                                 c * s->stride - s->pad),
                       (size_t)s->in_c, pixel, out);
}

/* An output pixel is a sum of pixels times weights, which add up to WEIGHTS. */
enum {
    WEIGHTS_BITS = 4,
    WEIGHTS = 1 << WEIGHTS_BITS,
    AXIS_MAX = 3,
    VECTOR_BYTES = 16,
    VECTORS_MAX = 4
};
struct weighted {
    const unsigned char *pixel[AXIS_MAX * AXIS_MAX];
    uint16_t weight[AXIS_MAX * AXIS_MAX];
    float part[AXIS_MAX * AXIS_MAX]; /* weight / WEIGHTS */
    size_t count;
};

INLINE void weigh_floats(const struct weighted *w, size_t at, size_t vectors, float *y)
{
    vecf sums[VECTORS_MAX] = {{0}};
    for (size_t i = 0; i < w->count; i++) {
        const float *x = (const float *)(const void *)w->pixel[i] + at;
        for (size_t v = 0; v < vectors; v++)
            sums[v] += vecf_load(x + v * LANES) * w->part[i];
    }
    for (size_t v = 0; v < vectors; v++)
        vec_put(PRECISION_F32, y, at + v * LANES, sums[v]);
}

/* Sums of the lower and of the upper halves of dwords. */
INLINE void weigh_halves(const struct weighted *w, size_t at, size_t vectors, uint16_t *y)
{
    vecf lower[VECTORS_MAX] = {{0}}, upper[VECTORS_MAX] = {{0}};
    for (size_t i = 0; i < w->count; i++) {
        const uint16_t *x = (const uint16_t *)(const void *)w->pixel[i] + at;
        float part = w->part[i];
        for (size_t v = 0; v < vectors; v++) {
            vec both;
            memcpy(&both, x + v * 2 * LANES, sizeof both);
            lower[v] += (vecf)(both << 16) * part;
            upper[v] += (vecf)(both & ~0xffff) * part;
        }
    }
    for (size_t v = 0; v < vectors; v++) {
        vec halves = (vec_round_halves(lower[v]) & 0xffff) | vec_round_halves(upper[v]) << 16;
        memcpy(y + at + v * 2 * LANES, &halves, sizeof halves);
    }
}

/* Sums of the lower and of the upper bytes of words. */
INLINE void weigh_bytes(const struct weighted *w, size_t at, size_t vectors, unsigned char *y)
{
    typedef uint16_t words __attribute__((vector_size(VECTOR_BYTES)));
    words lower[VECTORS_MAX], upper[VECTORS_MAX];
    for (size_t v = 0; v < vectors; v++)
        lower[v] = upper[v] = (words){0} + WEIGHTS / 2;
    for (size_t i = 0; i < w->count; i++)
        for (size_t v = 0; v < vectors; v++) {
            words x;
            memcpy(&x, w->pixel[i] + at + v * VECTOR_BYTES, sizeof x);
            lower[v] += (x & 0xff) * w->weight[i];
            upper[v] += (x >> 8) * w->weight[i];
        }
    for (size_t v = 0; v < vectors; v++) {
        words bytes = lower[v] >> WEIGHTS_BITS | upper[v] >> WEIGHTS_BITS << 8;
        memcpy(y + at + v * VECTOR_BYTES, &bytes, sizeof bytes);
    }
}

static float weigh_one_float(enum precision precision, const struct weighted *w, size_t at)
{
    float sum = 0;
    for (size_t i = 0; i < w->count; i++) {
        const void *x = w->pixel[i];
        sum += (precision == PRECISION_F32 ? ((const float *)x)[at]
                                           : f32_from_bf16(((const uint16_t *)x)[at])) *
               w->part[i];
    }
    return sum;
}

static uint8_t weigh_one_byte(const struct weighted *w, size_t at)
{
    int sum = WEIGHTS / 2;
    for (size_t i = 0; i < w->count; i++)
        sum += w->pixel[i][at] * w->weight[i];
    return (uint8_t)(sum >> WEIGHTS_BITS);
}

INLINE void weigh_vectors(enum precision precision, const struct weighted *w, size_t at,
                          size_t vectors, void *y)
{
    if (precision == PRECISION_F32)
        weigh_floats(w, at, vectors, y);
    else if (precision == PRECISION_BF16)
        weigh_halves(w, at, vectors, y);
    else
        weigh_bytes(w, at, vectors, y);
}

static void weigh_one(enum precision precision, const struct weighted *w, size_t at, void *y)
{
    if (precision == PRECISION_F32)
        ((float *)y)[at] = weigh_one_float(precision, w, at);
    else if (precision == PRECISION_BF16)
        ((uint16_t *)y)[at] = bf16_from_f32(weigh_one_float(precision, w, at));
    else
        ((uint8_t *)y)[at] = weigh_one_byte(w, at);
}

INLINE void weigh_channels(enum precision precision, const struct weighted *w, size_t channels,
                           void *y)
{
    size_t each = VECTOR_BYTES / precision_size(precision), c = 0;
    for (; c + VECTORS_MAX * each <= channels; c += VECTORS_MAX * each)
        weigh_vectors(precision, w, c, VECTORS_MAX, y);
    for (; c + each <= channels; c += each)
        weigh_vectors(precision, w, c, 1, y);
    for (; c < channels; c++)
        weigh_one(precision, w, c, y);
}

static void weigh(enum precision precision, const struct weighted *w, size_t channels, void *y)
{
    if (precision == PRECISION_F32)
        weigh_channels(PRECISION_F32, w, channels, y);
    else if (precision == PRECISION_BF16)
        weigh_channels(PRECISION_BF16, w, channels, y);
    else
        weigh_channels(PRECISION_INT8, w, channels, y);
}

/* The rows, or columns, of a window, and their weights, which add up to 4. */
struct axis {
    int at[AXIS_MAX];
    uint8_t weight[AXIS_MAX];
    int count;
};
typedef struct axis axis_function(int out, int size);

static struct axis mean_axis(int out, int size)
{
    bool inside = 2 * out + 1 < size;
    return (struct axis){{2 * out, 2 * out + 1}, {inside ? 2 : 4, 2}, inside ? 2 : 1};
}

static struct axis blur_axis(int out, int size)
{
    int at = 2 * out;
    return (struct axis){
        {at > 0 ? at - 1 : 1, at, at + 1 < size ? at + 1 : size - 2}, {1, 2, 1}, 3};
}

static struct weighted cross(const struct axis *rows, const struct axis *columns,
                             const unsigned char *image, size_t row, size_t pixel)
{
    struct weighted w = {.count = 0};
    for (int r = 0; r < rows->count; r++)
        for (int c = 0; c < columns->count; c++, w.count++) {
            w.pixel[w.count] = image + (size_t)rows->at[r] * row + (size_t)columns->at[c] * pixel;
            w.weight[w.count] = (uint16_t)(rows->weight[r] * columns->weight[c]);
            w.part[w.count] = (float)w.weight[w.count] / WEIGHTS;
        }
    return w;
}

static void weigh_rows(axis_function *axis, enum precision precision, const struct conv_shape *s,
                       const void *x, void *y, int row_begin, int row_end)
{
    size_t pixel = (size_t)s->in_c * precision_size(precision), row = (size_t)s->in_w * pixel;
    unsigned char *out = (unsigned char *)y + (size_t)row_begin * (size_t)s->out_w * pixel;
    for (int r = row_begin; r < row_end; r++) {
        size_t image = (size_t)(r / s->out_h) * (size_t)s->in_h * row;
        struct axis rows = axis(r % s->out_h, s->in_h);
        for (int c = 0; c < s->out_w; c++, out += pixel) {
            struct axis columns = axis(c, s->in_w);
            struct weighted w =
                cross(&rows, &columns, (const unsigned char *)x + image, row, pixel);
            weigh(precision, &w, (size_t)s->in_c, out);
        }
    }
}

void pool_mean(enum precision precision, const struct conv_shape *s, const void *x, void *y,
               int row_begin, int row_end)
{
    CHECK(s->kernel == 2 && s->stride == 2 && s->pad == 0);
    weigh_rows(mean_axis, precision, s, x, y, row_begin, row_end);
}

void pool_blur(enum precision precision, const struct conv_shape *s, const void *x, void *y,
               int row_begin, int row_end)
{
    CHECK(s->kernel == 3 && s->stride == 2 && s->pad == 1 && s->in_h > 1 && s->in_w > 1);
    weigh_rows(blur_axis, precision, s, x, y, row_begin, row_end);
}

/* Channels [at, at + count) of one image. */
static void average_strip(enum precision precision, const struct conv_shape *s, const void *x,
                          const struct quantization *q, void *y, size_t at, size_t count)
{
    size_t channels = (size_t)s->in_c, pixels = (size_t)s->in_h * (size_t)s->in_w;
    double sums[SUMS_CHANNELS] = {0};
    sums_add(precision, (const unsigned char *)x + at * precision_size(precision), channels, pixels,
             count, sums);
    for (size_t c = 0; c < count; c++) {
        double mean = sums[c] / (double)pixels;
        if (precision == PRECISION_BF16)
            ((uint16_t *)y)[at + c] = bf16_from_f32((float)mean);
        else if (precision == PRECISION_F32)
            ((float *)y)[at + c] = (float)mean;
        else
            ((float *)y)[at + c] =
                (float)((mean - (double)q->zero[at + c]) * (double)q->scale[at + c]);
    }
}

void pool_average(enum precision precision, const struct conv_shape *s, const void *x,
                  const struct quantization *q, void *y, int begin, int end)
{
    size_t channels = (size_t)s->in_c, pixels = (size_t)s->in_h * (size_t)s->in_w;
    size_t image_bytes = pixels * channels * precision_size(precision);
    size_t mean_bytes = channels * (precision == PRECISION_BF16 ? sizeof(uint16_t) : sizeof(float));
    size_t strips = (size_t)sums_strips(s->in_c);
    for (size_t i = (size_t)begin; i < (size_t)end; i++) {
        size_t image = i / strips, at = i % strips * SUMS_CHANNELS;
        average_strip(precision, s, (const unsigned char *)x + image * image_bytes, q,
                      (unsigned char *)y + image * mean_bytes, at,
                      channels - at < SUMS_CHANNELS ? channels - at : SUMS_CHANNELS);
    }
}
