/* The functions of planes.h for the instruction set of a leaf, which brings
 *   turn_load(rows, column)   4 floats from `column` on of every fourth of LANES rows, side by side
 *   turn_squares(v)           turns every 4 lanes of 4 vectors, a square of 16, over */
#include "kernel/isa/finish.h"
#include "kernel/openblas/planes.h"

/* Columns `column` to `column` + 3 of LANES rows. */
LANES_INLINE void turn_columns(const float *const rows[LANES], size_t column, vecf out[4])
{
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++)
        out[i] = turn_load(rows + i, column);
    turn_squares(out);
}

LANES_INLINE vecf turn_and(vecf v, vec mask)
{
    return (vecf)((vec)v & mask);
}

/* LANES pixels from `at` on, `copies` of each. */
LANES_INLINE void turn_pixels(const struct to_planes *work, size_t at, size_t copies)
{
    const struct to_planes copy = *work, *w = &copy;
    size_t channels = w->channels;
    vec inside[PLANES_COPIES];
    float *to[PLANES_COPIES];
    const float *rows[LANES];
#pragma GCC unroll 8
    for (size_t i = 0; i < LANES; i++)
        rows[i] = w->pixels[at + i] + w->channel;
    vec columns = w->columns ? (vec)vecf_load((const float *)w->columns + at) : (vec){0};
#pragma GCC unroll 3
    for (size_t k = 0; k < copies; k++) {
        vec column = columns + w->copy[k].shift;
        to[k] = w->copy[k].planes + at + w->copy[k].shift;
        inside[k] = (column >= 0) & (column < w->width);
    }
    const size_t *plane = w->at;
    for (size_t c = 0; c < channels; c += 4) {
        vecf planes[4];
        if (c % 16 == 0) /* a cache line: the next chunk's */
#pragma GCC unroll 8
            for (size_t i = 0; i < LANES; i++)
                __builtin_prefetch(rows[i] + channels + c);
        turn_columns(rows, c, planes);
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++)
            if (i == 0 || c + i < channels)
#pragma GCC unroll 3
                for (size_t k = 0; k < copies; k++)
                    *(vecf_anywhere *)(to[k] + plane[c + i]) = turn_and(planes[i], inside[k]);
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

/* 4 pixels from pixel `p` on, of which `count`, a constant, are written. */
LANES_INLINE void turn_planes(const struct from_planes *w, size_t p, int count)
{
    struct lanes_finish f = w->finish;
    for (size_t c = 0; c < w->channels; c += LANES, f.factors += LANES) {
        const struct vec_sums s = {w->at + p * w->pixel + c, w->pixel, (int)(w->channels - c),
                                   count, 1};
        vecf pixels[4];
        vec sums[4];
        const float *rows[LANES];
#pragma GCC unroll 8
        for (size_t i = 0; i < LANES; i++)
            rows[i] = w->planes + (c + i) * w->plane;
        turn_columns(rows, p, pixels);
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++)
            sums[i] = (vec)pixels[i];
        vec_finish_all(PRECISION_F32, &f, s, sums);
    }
}

static void turn_from_planes(const struct from_planes *work)
{
    const struct from_planes copy = *work, *w = &copy;
    size_t p = 0;
    for (; p + 4 <= w->count; p += 4)
        turn_planes(w, p, 4);
    for (; p < w->count; p++)
        turn_planes(w, p, 1);
}
