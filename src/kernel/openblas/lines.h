/* Lines of planes.h for the instruction set of a leaf. For the source of the numbers see grouped.c.
 * Lines are written in such an order that what is written behind the end of one is the beginning of
 * another that is written later. */
#include "kernel/openblas/turn.h"

/* Six lines of inputs to as many. */
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

/* Six lines of sums to four of outputs. */
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

/* LANES columns of a tile, of lines so many floats apart, to `count` others. */
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
