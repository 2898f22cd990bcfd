#include "nn/pool.h"

#include <math.h>

#include "kernel/isa/generic.h"

/* Inlined where `count` is a constant. */
#define INLINE static inline __attribute__((always_inline))

/* Channels averaged, and bytes of channels compared, at a time. RUN pixels are added in float32,
 * and these sums in double: the mean of a map of any size is then off by at most 5e-7 of the mean
 * magnitude of its numbers. */
enum { STRIP = 64, STRIP_BYTES = 64, RUN = 8 };

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

INLINE void max_int8(const struct window *w, size_t pixel, size_t count, uint8_t *y)
{
    uint8_t max[STRIP_BYTES];
    memcpy(max, w->first, count);
    for (int r = 0; r < w->rows; r++)
        for (int c = 0; c < w->columns; c++) {
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
        else if (whole)
            max_int8(&w, pixel, STRIP_BYTES, y);
        else
            max_int8(&w, pixel, count, y);
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

/* Adds a run of `pixels` pixels, of each `count` of its `channels`, the first at element `i`. */
INLINE void add_run(enum precision precision, const void *x, size_t i, size_t channels,
                    size_t pixels, double sums[STRIP], size_t count)
{
    for (size_t c = 0; c < count; c++) {
        float sum = -0.0F; /* the compiler drops this addition */
        uint16_t bytes = 0;
#pragma GCC unroll 8
        for (size_t p = 0; p < pixels; p++) {
            size_t at = i + p * channels + c;
            if (precision == PRECISION_F32)
                sum += ((const float *)x)[at];
            else if (precision == PRECISION_BF16)
                sum += f32_from_bf16(((const uint16_t *)x)[at]);
            else
                bytes = (uint16_t)(bytes + ((const uint8_t *)x)[at]);
        }
        sums[c] += precision == PRECISION_INT8 ? (double)bytes : (double)sum;
    }
}

/* Channels [at, at + count) of one image: their sums. */
INLINE void add_map(enum precision precision, const void *x, size_t at, size_t channels,
                    size_t pixels, double sums[STRIP], size_t count)
{
    size_t p = 0;
    for (; p + RUN <= pixels; p += RUN)
        add_run(precision, x, p * channels + at, channels, RUN, sums, count);
    for (; p < pixels; p++)
        add_run(precision, x, p * channels + at, channels, 1, sums, count);
}

static uint8_t clip(float value)
{
    return (uint8_t)lrintf(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* Channels [at, at + count) of one image. */
static void average_strip(enum precision precision, const struct conv_shape *s, const void *x,
                          void *y, const float *scale, const float *offset, size_t at, size_t count)
{
    size_t channels = (size_t)s->in_c, pixels = (size_t)s->in_h * (size_t)s->in_w;
    double sums[STRIP] = {0};
    if (precision == PRECISION_F32)
        add_map(PRECISION_F32, x, at, channels, pixels, sums, count);
    else if (precision == PRECISION_BF16)
        add_map(PRECISION_BF16, x, at, channels, pixels, sums, count);
    else
        add_map(PRECISION_INT8, x, at, channels, pixels, sums, count);
    for (size_t c = 0; c < count; c++) {
        float mean = (float)(sums[c] / (double)pixels);
        if (precision == PRECISION_F32)
            ((float *)y)[at + c] = mean;
        else if (precision == PRECISION_BF16)
            ((uint16_t *)y)[at + c] = bf16_from_f32(mean);
        else
            ((uint8_t *)y)[at + c] = clip(mean * scale[at + c] + offset[at + c]);
    }
}

int pool_strips(const struct conv_shape *s)
{
    return (s->in_c + STRIP - 1) / STRIP;
}

void pool_average(enum precision precision, const struct conv_shape *s, const void *x, void *y,
                  const float *scale, const float *offset, int begin, int end)
{
    size_t channels = (size_t)s->in_c, size = precision_size(precision);
    size_t image_bytes = (size_t)s->in_h * (size_t)s->in_w * channels * size;
    size_t strips = (size_t)pool_strips(s);
    for (size_t i = (size_t)begin; i < (size_t)end; i++) {
        size_t image = i / strips, at = i % strips * STRIP;
        average_strip(precision, s, (const unsigned char *)x + image * image_bytes,
                      (unsigned char *)y + image * channels * size, scale, offset, at,
                      channels - at < STRIP ? channels - at : STRIP);
    }
}
