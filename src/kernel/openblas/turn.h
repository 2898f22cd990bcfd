/* Turning of planes.h for the instruction set of a leaf, which brings
 *   turn_load(rows, column)   4 floats from `column` on of every fourth of LANES rows, side by side
 *   turn_squares(v)           turns every 4 lanes of 4 vectors, a square of 16, over */
#include "kernel/isa/finish.h"
#include "kernel/openblas/planes.h"

_Static_assert((int)LANES <= (int)PLANES_LANES, "planes have space behind them for a vector");

/* Columns `column` to `column` + 3 of LANES rows. */
LANES_INLINE void turn_columns(const float *const rows[LANES], size_t column, vecf out[4])
{
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++)
        out[i] = turn_load(rows + i, column);
    turn_squares(out);
}

/* LANES pixels from number `p` on. */
LANES_INLINE void turn_pixels(const struct to_planes *w, size_t p)
{
    const float *rows[LANES];
    float *to = w->planes + p;
    size_t channels = w->channels, plane = w->plane;
#pragma GCC unroll 8
    for (size_t i = 0; i < LANES; i++)
        rows[i] = w->pixels[p + i] + w->channel;
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
                *(vecf_anywhere *)(to + (c + i) * plane) = planes[i];
    }
}

static void LEAF_NAME(f32_to_planes)(const struct to_planes *work)
{
    const struct to_planes copy = *work;
    for (size_t p = 0; p < copy.count; p += LANES)
        turn_pixels(&copy, p);
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

static void LEAF_NAME(f32_from_planes)(const struct from_planes *work)
{
    const struct from_planes copy = *work, *w = &copy;
    size_t p = 0;
    for (; p + 4 <= w->count; p += 4)
        turn_planes(w, p, 4);
    for (; p < w->count; p++)
        turn_planes(w, p, 1);
}
