#include "nn/fine.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* Channels that are pooled together stay in registers. */
enum { STRIP = 64, GROUP = 8, PARTS_BITS = 3, HALF = FINE_PARTS / 2 /* a byte's rounding */ };
_Static_assert(FINE_PARTS == 1 << PARTS_BITS && CONV_WORD_MAX + HALF == 256 * FINE_PARTS - 1,
               "a word's whole steps are a byte");

#define INLINE static inline __attribute__((always_inline))

/* A group of channels is what the limit of int8 weights is about: whole groups keep their step. */
static bool gives_words(const struct layer *l)
{
    return l->kind == LAYER_CONV && !l->gate && l->residual == LAYER_NO_VALUE &&
           l->shape.out_c % GROUP == 0;
}

static bool reads_planes(const struct layer *l)
{
    return l->kind == LAYER_CONV && l->shape.kernel == 1 && l->shape.groups == 1;
}

/* Whether layer i reads value v, and no other does. */
static bool is_read_by(const struct layer *layers, size_t count, int v, size_t i)
{
    for (size_t k = (size_t)v; k < count; k++)
        if (layers[k].residual == v || (layers[k].input == v) != (k == i))
            return false;
    return true;
}

static bool is_fine_pool(const struct layer *layers, size_t count, size_t i)
{
    int stem = layers[i].input;
    if (layers[i].kind != LAYER_MAX_POOL || stem == 0 || !gives_words(&layers[stem - 1]) ||
        !is_read_by(layers, count, stem, i))
        return false;
    for (size_t k = i + 1; k < count; k++)
        if (layers[k].residual == (int)i + 1 ||
            (layers[k].input == (int)i + 1 && !reads_planes(&layers[k])))
            return false;
    return true;
}

enum fine_form fine_form_of(const struct layer *layers, size_t count, size_t v)
{
    if (v == 0 || v == count)
        return FINE_NONE;
    if (is_fine_pool(layers, count, v - 1))
        return FINE_PLANES;
    return layers[v].input == (int)v && is_fine_pool(layers, count, v) ? FINE_WORDS : FINE_NONE;
}

size_t fine_size(enum fine_form form)
{
    return form == FINE_NONE ? 1 : 2;
}

size_t fine_channels(enum fine_form form, size_t channels)
{
    return form == FINE_PLANES ? FINE_PLANE_COUNT * channels : channels;
}

void fine_rescale(enum fine_form form, const struct quantization *q, size_t channels,
                  struct fine_scales out)
{
    float parts = form == FINE_WORDS ? FINE_PARTS : 1;
    for (size_t c = 0; c < channels; c++) {
        out.scale[c] = q->scale[c] / parts;
        out.zero[c] = q->zero[c] * parts;
        if (out.mean)
            out.mean[c] = q->mean[c];
    }
    for (size_t c = channels; c < fine_channels(form, channels); c++) {
        out.scale[c] = q->scale[c - channels] / FINE_PARTS;
        out.zero[c] = HALF;
        if (out.mean)
            out.mean[c] = 0;
    }
}

void fine_read(enum fine_form form, const struct quantization *q, size_t channels, const void *from,
               size_t first, size_t count, float *out)
{
    const uint8_t *bytes = from;
    const uint16_t *words = from;
    for (size_t i = 0, e = first; i < count; i++, e++) {
        size_t c = e % channels, at = form == FINE_PLANES ? e + e / channels * channels : e;
        float number = form == FINE_WORDS ? words[e] : bytes[at];
        out[i] = q->scale[c] * (number - q->zero[c]);
        if (form == FINE_PLANES)
            out[i] += q->scale[channels + c] * ((float)bytes[at + channels] - HALF);
    }
}

/* [out_c][channels] -> [out_c][2][channels]. */
static void repeat_weights(const float *weights, size_t outputs, size_t channels, float *out)
{
    for (size_t o = 0; o < outputs; o++, weights += channels)
        for (size_t plane = 0; plane < FINE_PLANE_COUNT; plane++, out += channels)
            memcpy(out, weights, channels * sizeof *out);
}

static void set_bit(uint8_t *bits, size_t i, bool bit)
{
    bits[i / 8] = (uint8_t)(bits[i / 8] | (unsigned)bit << i % 8);
}

/* The rounding of repeated weights: for the second plane, to the nearest. `exact` is scratch. */
static bool repeat_rounding(const struct layer *layer, const float *weights,
                            const uint8_t *rounding, const struct quantization *x, double *exact,
                            uint8_t *out)
{
    size_t each = (size_t)layer->shape.in_c, channels = each / FINE_PLANE_COUNT;
    for (size_t o = 0; o < (size_t)layer->shape.out_c; o++) {
        if (!quantize_exactly(layer, weights, x, o, exact))
            return false;
        for (size_t c = 0; c < channels; c++) {
            size_t from = o * channels + c, lower = channels + c;
            set_bit(out, o * each + c, rounding[from / 8] >> from % 8 & 1);
            set_bit(out, o * each + lower, exact[lower] - quantize_floor(exact[lower]) >= 0.5);
        }
    }
    return true;
}

int fine_quantize(const struct layer *layer, const float *weights, const float *bias,
                  const uint8_t *rounding, const struct quantization *x,
                  const struct quantization *y, const struct quantization *residual,
                  struct conv_weights *out, struct error *err)
{
    struct layer twice = *layer;
    twice.shape.in_c *= FINE_PLANE_COUNT;
    size_t count = conv_weight_count(&twice.shape), channels = (size_t)layer->shape.in_c;
    float *repeated = malloc(count * sizeof *repeated);
    double *exact = calloc(FINE_PLANE_COUNT * channels, sizeof *exact);
    uint8_t *bits = calloc(count / 8 + 1, 1);
    int code = repeated && exact && bits
                   ? ERR_OK
                   : error_set(err, ERR_NO_MEMORY, "no memory to quantise layer %s", layer->name);
    if (code == ERR_OK) {
        repeat_weights(weights, (size_t)layer->shape.out_c, channels, repeated);
        /* (Numbers that are too large have no rounding; quantize_layer refuses them.) */
        bool given = rounding && repeat_rounding(&twice, repeated, rounding, x, exact, bits);
        code =
            quantize_layer(&twice, repeated, bias, given ? bits : NULL, x, y, residual, out, err);
    }
    free(repeated);
    free(exact);
    free(bits);
    return code;
}

/* The part of a window that lies inside the map: words `row` and `pixel` apart. */
struct window {
    const uint16_t *first;
    int rows, columns;
    size_t row, pixel;
};

/* Signed, as these are what the oldest CPUs compare. */
INLINE void pool_strip(const struct window *w, int rows, int columns, size_t at, size_t count,
                       uint8_t *whole, uint8_t *parts)
{
    int16_t max[STRIP];
    memcpy(max, w->first + at, count * sizeof *max);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++) {
            const int16_t *x =
                (const int16_t *)w->first + (size_t)r * w->row + (size_t)c * w->pixel + at;
            for (size_t i = 0; i < count; i++)
                max[i] = x[i] > max[i] ? x[i] : max[i];
        }
    for (size_t i = 0; i < count; i++)
        whole[at + i] = (uint8_t)((max[i] + HALF) >> PARTS_BITS);
    for (size_t i = 0; i < count; i++)
        parts[at + i] = (uint8_t)((max[i] + HALF) & (FINE_PARTS - 1));
}

static void pool_window(const struct window *w, size_t channels, uint8_t *y)
{
    size_t at = 0;
    if (w->rows == 3 && w->columns == 3)
        for (; at + STRIP <= channels; at += STRIP)
            pool_strip(w, 3, 3, at, STRIP, y, y + channels);
    for (; at + GROUP <= channels; at += GROUP)
        pool_strip(w, w->rows, w->columns, at, GROUP, y, y + channels);
}

/* Of the window from `at` on in 0..size: where it begins inside, and how many are inside. */
static int clip(int at, int kernel, int size, int *first)
{
    int end = at + kernel < size ? at + kernel : size;
    *first = at < 0 ? 0 : at;
    return end - *first;
}

void fine_pool(const struct conv_shape *s, const void *x, void *y, int row_begin, int row_end)
{
    size_t channels = (size_t)s->in_c, row = (size_t)s->in_w * channels;
    size_t pixel = FINE_PLANE_COUNT * channels;
    uint8_t *out = (uint8_t *)y + (size_t)row_begin * (size_t)s->out_w * pixel;
    CHECK(channels % GROUP == 0);
    for (int r = row_begin; r < row_end; r++) {
        const uint16_t *image =
            (const uint16_t *)x + (size_t)(r / s->out_h) * (size_t)s->in_h * row;
        struct window w = {.row = row, .pixel = channels};
        int top, left;
        w.rows = clip(r % s->out_h * s->stride - s->pad, s->kernel, s->in_h, &top);
        for (int c = 0; c < s->out_w; c++, out += pixel) {
            w.columns = clip(c * s->stride - s->pad, s->kernel, s->in_w, &left);
            w.first = image + (size_t)top * row + (size_t)left * channels;
            pool_window(&w, channels, out);
        }
    }
}
