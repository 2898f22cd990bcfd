/* The functions of planes.h for the instruction set of a leaf, which brings
 *   transpose_load(rows, column)   4 floats from `column` on of every fourth of LANES rows, side by
 *                                  side
 *   transpose_4x4(v)               transposes each 4 x 4 floats, 4 lanes of 4 vectors */
#include "kernel/isa/epilogue.h"
#include "kernel/openblas/planes.h"

_Static_assert((int)LANES <= (int)PLANES_LANES, "planes have space behind them for a vector");

/* Columns `column` to `column` + 3 of LANES rows. */
LANES_INLINE void transpose_columns(const float *const rows[LANES], size_t column, vecf out[4])
{
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++)
        out[i] = transpose_load(rows + i, column);
    transpose_4x4(out);
}

/* LANES pixels from number `p` on. */
LANES_INLINE void pixels_to_planes(const struct to_planes *w, size_t p)
{
    const float *rows[LANES];
    float *to = w->planes + p;
    size_t channels = w->channels, plane = w->plane;
#pragma GCC unroll 8
    for (size_t i = 0; i < LANES; i++)
        rows[i] = w->pixels[p + i] + w->channel;
    for (size_t c = 0; c < channels; c += 4) {
        vecf planes[4];
        if (c % 16 == 0) /* a cache line of the next chunk */
#pragma GCC unroll 8
            for (size_t i = 0; i < LANES; i++)
                __builtin_prefetch(rows[i] + channels + c);
        transpose_columns(rows, c, planes);
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
        pixels_to_planes(&copy, p);
}

/* 4 pixels from pixel `p` on; `count` of them, a constant, are written. */
LANES_INLINE void planes_to_pixels(const struct from_planes *w, size_t p, int count)
{
    struct lanes_epilogue f = w->epilogue;
    for (size_t c = 0; c < w->channels; c += LANES, f.factors += LANES) {
        const struct vec_sums s = {w->at + p * w->pixel + c, w->pixel, (int)(w->channels - c),
                                   count, 1};
        vecf pixels[4];
        vec sums[4];
        const float *rows[LANES];
#pragma GCC unroll 8
        for (size_t i = 0; i < LANES; i++)
            rows[i] = w->planes + (c + i) * w->plane;
        transpose_columns(rows, p, pixels);
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++)
            sums[i] = (vec)pixels[i];
        vec_epilogue_all(PRECISION_F32, &f, s, sums);
    }
}

static void LEAF_NAME(f32_from_planes)(const struct from_planes *work)
{
    const struct from_planes copy = *work, *w = &copy;
    size_t p = 0;
    for (; p + 4 <= w->count; p += 4)
        planes_to_pixels(w, p, 4);
    for (; p < w->count; p++)
        planes_to_pixels(w, p, 1);
}

/* What follows writes whole vectors, in an order in which a later line overwrites floats behind the
 * end of an earlier one. For the source of the transforms see grouped.c. */

/* Winograd's input transform, six lines to six. */
LANES_INLINE void lines_in(const vecf *x, vecf *to)
{
    vecf a = x[4] - 4 * x[2], b = x[3] - 4 * x[1], c = x[4] - x[2], d = 2 * (x[3] - x[1]);
    to[0] = 4 * x[0] - 5 * x[2] + x[4];
    to[1] = a + b;
    to[2] = a - b;
    to[3] = c + d;
    to[4] = c - d;
    to[5] = 4 * x[1] - 5 * x[3] + x[5];
}

/* Winograd's output transform, six lines of sums to four. */
LANES_INLINE void lines_out(const vecf *x, vecf *to)
{
    vecf a = x[1] + x[2], b = x[1] - x[2], c = x[3] + x[4], d = x[3] - x[4];
    to[0] = x[0] + a + c;
    to[1] = b + 2 * d;
    to[2] = a + 4 * c;
    to[3] = b + 8 * d + x[5];
}

static void LEAF_NAME(f32_copy_lines)(const struct plane_lines *work)
{
    const struct plane_lines copy = *work, *w = &copy;
    for (size_t c = 0; c < w->channels; c++)
        for (size_t row = 0; row < w->rows; row++)
            for (size_t x = 0; x < w->width; x += LANES)
                *(vecf_anywhere *)(w->to + c * w->to_plane + row * w->width + x) =
                    vecf_load(w->from + c * w->from_plane + row * w->line + x);
}

/* Transforms LANES columns of a tile to `count` lines. */
LANES_INLINE void lines_tile(const float *from, size_t from_step, float *to, size_t to_step,
                             size_t count, void (*transform)(const vecf *x, vecf *to))
{
    vecf lines[WINOGRAD_IN], out[WINOGRAD_IN];
#pragma GCC unroll 6
    for (size_t i = 0; i < WINOGRAD_IN; i++)
        lines[i] = vecf_load(from + i * from_step);
    transform(lines, out);
#pragma GCC unroll 6
    for (size_t i = 0; i < count; i++)
        *(vecf_anywhere *)(to + i * to_step) = out[i];
}

static void LEAF_NAME(f32_winograd_inputs)(const struct plane_lines *work)
{
    const struct plane_lines copy = *work, *w = &copy;
    for (size_t c = 0; c < w->channels; c++)
        for (size_t row = 0; row < w->rows; row++)
            for (size_t x = 0; x < w->width; x += LANES)
                lines_tile(w->from + c * w->from_plane + row * WINOGRAD_OUT * w->line + x, w->line,
                           w->to + c * w->to_plane + row * w->width + x, w->matrix, WINOGRAD_IN,
                           lines_in);
}

static void LEAF_NAME(f32_winograd_outputs)(const struct plane_lines *work)
{
    const struct plane_lines copy = *work, *w = &copy;
    for (size_t c = 0; c < w->channels; c++)
        for (size_t row = 0; row < w->rows; row++)
            for (size_t n = (w->width + LANES - 1) / LANES; n > 0; n--)
                lines_tile(w->from + c * w->from_plane + row * w->width + (n - 1) * LANES,
                           w->matrix,
                           w->to + c * w->to_plane + row * WINOGRAD_OUT * w->line + (n - 1) * LANES,
                           w->line, WINOGRAD_OUT, lines_out);
}

#define BLAS_GROUPED_KERNEL                                                                        \
    static const struct planes_leaf planes_leaf = {                                                \
        LEAF_NAME(f32_to_planes), LEAF_NAME(f32_from_planes), LEAF_NAME(f32_copy_lines),           \
        LEAF_NAME(f32_winograd_inputs), LEAF_NAME(f32_winograd_outputs)};                          \
    LEAF_KERNEL(f32_grouped_openblas, PRECISION_F32, blas_grouped_supports, &blas_grouped_method,  \
                &planes_leaf)
