/* The functions of planes.h for one instruction set, which brings: `turn_vector`, LANES float32;
 * turn_load(), 4 floats of each of LANES / 4 rows, 4 rows apart, from the first to the last quarter;
 * turn_low() and turn_high(), the lower and upper two of every four lanes of two vectors, one by
 * one, and turn_low_pairs() and turn_high_pairs(), the same by twos. */
#include <string.h>

#include "kernel/openblas/planes.h"

/* Columns `column` to `column` + 3 of LANES rows. */
LANES_INLINE void turn_columns(const float *const rows[LANES], size_t column, turn_vector out[4])
{
    turn_vector a = turn_load(rows, column), b = turn_load(rows + 1, column);
    turn_vector c = turn_load(rows + 2, column), d = turn_load(rows + 3, column);
    turn_vector ab_low = turn_low(a, b), ab_high = turn_high(a, b);
    turn_vector cd_low = turn_low(c, d), cd_high = turn_high(c, d);
    out[0] = turn_low_pairs(ab_low, cd_low);
    out[1] = turn_high_pairs(ab_low, cd_low);
    out[2] = turn_low_pairs(ab_high, cd_high);
    out[3] = turn_high_pairs(ab_high, cd_high);
}

typedef turn_vector __attribute__((aligned(4))) turn_vector_anywhere;
typedef int32_t turn_mask __attribute__((vector_size(4 * LANES)));
typedef turn_mask __attribute__((aligned(4))) turn_mask_anywhere;

LANES_INLINE turn_vector turn_and(turn_vector v, turn_mask mask)
{
    return (turn_vector)((turn_mask)v & mask);
}

/* LANES pixels from `at` on, `copies` of each. */
LANES_INLINE void turn_pixels(const struct to_planes *work, size_t at, size_t copies)
{
    const struct to_planes copy = *work, *w = &copy;
    size_t channels = w->channels;
    turn_mask inside[PLANES_COPIES];
    float *to[PLANES_COPIES];
    const float *rows[LANES];
#pragma GCC unroll 8
    for (size_t i = 0; i < LANES; i++)
        rows[i] = w->pixels[at + i] + w->channel;
#pragma GCC unroll 3
    for (size_t k = 0; k < copies; k++) {
        to[k] = w->copy[k].planes + at;
        inside[k] = *(const turn_mask_anywhere *)(w->copy[k].inside + at);
    }
    const size_t *plane = w->at;
    for (size_t c = 0; c < channels; c += 4) {
        turn_vector planes[4];
        if (c % 16 == 0)
#pragma GCC unroll 8
            for (size_t i = 0; i < LANES; i++)
                __builtin_prefetch(rows[i] + channels + c);
        turn_columns(rows, c, planes);
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++)
            if (i == 0 || c + i < channels)
#pragma GCC unroll 3
                for (size_t k = 0; k < copies; k++)
                    *(turn_vector_anywhere *)(to[k] + plane[c + i]) = turn_and(planes[i], inside[k]);
    }
}

static void turn_to_planes(const struct to_planes *w)
{
    for (size_t p = 0; p < w->count; p += LANES)
        if (w->copies == 1)
            turn_pixels(w, p, 1);
        else if (w->copies == 2)
            turn_pixels(w, p, 2);
        else
            turn_pixels(w, p, 3);
}

/* Up to 4 pixels from `at` on. */
LANES_INLINE void turn_planes(const struct from_planes *w, size_t at, size_t count, bool residual,
                              bool relu)
{
    size_t channels = w->channels, pixel = w->pixel;
    for (size_t c = 0; c < channels; c += LANES) {
        size_t left = channels - c, bytes = (left < LANES ? left : LANES) * sizeof(float);
        turn_vector pixels[4], bias = *(const turn_vector_anywhere *)(w->bias + c);
        const float *rows[LANES];
#pragma GCC unroll 8
        for (size_t i = 0; i < LANES; i++)
            rows[i] = w->planes + (c + i) * w->plane;
        turn_columns(rows, at, pixels);
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++) {
            if (i >= count)
                break;
            size_t to = (at + i) * pixel + c;
            turn_vector v = pixels[i] + bias, r = {0};
            if (residual && left >= LANES)
                r = *(const turn_vector_anywhere *)(w->residual + to);
            else if (residual)
                memcpy(&r, w->residual + to, bytes);
            v += r;
            if (relu)
                v = turn_and(v, ~(v < 0));
            if (left >= LANES)
                *(turn_vector_anywhere *)(w->y + to) = v;
            else
                memcpy(w->y + to, &v, bytes);
        }
    }
}

LANES_INLINE void turn_all_planes(const struct from_planes *work, bool residual, bool relu)
{
    const struct from_planes copy = *work, *w = &copy;
    size_t p = 0;
    for (; p + 4 <= w->count; p += 4)
        turn_planes(w, p, 4, residual, relu);
    if (p < w->count)
        turn_planes(w, p, w->count - p, residual, relu);
}

static void turn_from_planes(const struct from_planes *w)
{
    if (!w->residual && w->relu)
        turn_all_planes(w, false, true);
    else if (!w->residual)
        turn_all_planes(w, false, false);
    else
        turn_all_planes(w, true, w->relu);
}

static const struct planes_turn turn = {turn_to_planes, turn_from_planes};
