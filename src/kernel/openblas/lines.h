/* Lines of planes.h for the instruction set of a leaf. For the source of the numbers see grouped.c.
 * Lines are written in such an order that what is written behind the end of one is the beginning of
 * another that is written later. */
#include "kernel/openblas/turn.h"

/* Six lines of inputs. */
LANES_INLINE void lines_in(const vecf x[WINOGRAD_IN], vecf to[WINOGRAD_IN])
{
    vecf a = x[4] - 4 * x[2], b = x[3] - 4 * x[1], c = x[4] - x[2], d = 2 * (x[3] - x[1]);
    to[0] = 4 * x[0] - 5 * x[2] + x[4];
    to[1] = a + b;
    to[2] = a - b;
    to[3] = c + d;
    to[4] = c - d;
    to[5] = 4 * x[1] - 5 * x[3] + x[5];
}

/* Four lines of outputs. */
LANES_INLINE void lines_out(const vecf x[WINOGRAD_IN], vecf to[WINOGRAD_OUT])
{
    vecf a = x[1] + x[2], b = x[1] - x[2], c = x[3] + x[4], d = x[3] - x[4];
    to[0] = x[0] + a + c;
    to[1] = b + 2 * d;
    to[2] = a + 4 * c;
    to[3] = b + 8 * d + x[5];
}

static void lines_copy(const struct plane_lines *work)
{
    const struct plane_lines copy = *work, *w = &copy;
    for (size_t c = 0; c < w->channels; c++)
        for (size_t row = 0; row < w->rows; row++)
            for (size_t x = 0; x < w->width; x += LANES)
                *(vecf_anywhere *)(w->to + c * w->to_plane + row * w->width + x) =
                    vecf_load(w->from + c * w->from_plane + row * w->line + x);
}

/* LANES columns of a tile. */
LANES_INLINE void lines_transform_in(const struct plane_lines *w, const float *from, float *to)
{
    vecf lines[WINOGRAD_IN], out[WINOGRAD_IN];
#pragma GCC unroll 6
    for (size_t y = 0; y < WINOGRAD_IN; y++)
        lines[y] = vecf_load(from + y * w->line);
    lines_in(lines, out);
#pragma GCC unroll 6
    for (size_t m = 0; m < WINOGRAD_IN; m++)
        *(vecf_anywhere *)(to + m * w->matrix) = out[m];
}

/* Of its sums, too. */
LANES_INLINE void lines_transform_out(const struct plane_lines *w, const float *from, float *to)
{
    vecf sums[WINOGRAD_IN], out[WINOGRAD_OUT];
#pragma GCC unroll 6
    for (size_t m = 0; m < WINOGRAD_IN; m++)
        sums[m] = vecf_load(from + m * w->matrix);
    lines_out(sums, out);
#pragma GCC unroll 4
    for (size_t y = 0; y < WINOGRAD_OUT; y++)
        *(vecf_anywhere *)(to + y * w->line) = out[y];
}

static void lines_transform_inputs(const struct plane_lines *work)
{
    const struct plane_lines copy = *work, *w = &copy;
    for (size_t c = 0; c < w->channels; c++)
        for (size_t row = 0; row < w->rows; row++)
            for (size_t x = 0; x < w->width; x += LANES)
                lines_transform_in(w,
                                   w->from + c * w->from_plane + row * WINOGRAD_OUT * w->line + x,
                                   w->to + c * w->to_plane + row * w->width + x);
}

static void lines_transform_sums(const struct plane_lines *work)
{
    const struct plane_lines copy = *work, *w = &copy;
    for (size_t c = 0; c < w->channels; c++)
        for (size_t row = 0; row < w->rows; row++)
            for (size_t n = (w->width + LANES - 1) / LANES; n > 0; n--)
                lines_transform_out(
                    w, w->from + c * w->from_plane + row * w->width + (n - 1) * LANES,
                    w->to + c * w->to_plane + row * WINOGRAD_OUT * w->line + (n - 1) * LANES);
}

#define BLAS_GROUPED_KERNEL(rung)                                                                  \
    static const struct planes_leaf planes_leaf = {turn_to_planes, turn_from_planes, lines_copy,   \
                                                   lines_transform_inputs, lines_transform_sums};  \
    const struct conv_kernel f32_grouped_openblas__##rung = {                                      \
        .name = "f32_grouped_openblas__" #rung,                                                    \
        .isa = #rung,                                                                              \
        .precision = PRECISION_F32,                                                                \
        .supports = blas_grouped_supports,                                                         \
        .method = &blas_grouped_method,                                                            \
        .own = &planes_leaf,                                                                       \
    }
