/* Transforms of planes.h for the instruction set of a leaf. Source: see winograd.c. */
#include "kernel/openblas/turn.h"

/* Six lines of inputs. */
LANES_INLINE void winograd_in(const vecf x[WINOGRAD_IN], vecf to[WINOGRAD_IN])
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
LANES_INLINE void winograd_out(const vecf x[WINOGRAD_IN], vecf to[WINOGRAD_OUT])
{
    vecf a = x[1] + x[2], b = x[1] - x[2], c = x[3] + x[4], d = x[3] - x[4];
    to[0] = x[0] + a + c;
    to[1] = b + 2 * d;
    to[2] = a + 4 * c;
    to[3] = b + 8 * d + x[5];
}

/* A line of tiles of one channel and kernel column. */
LANES_INLINE void winograd_in_line(const struct winograd_planes *w, const float *from, float *to)
{
    for (size_t at = 0; at < w->width; at += LANES) {
        vecf lines[WINOGRAD_IN], out[WINOGRAD_IN];
#pragma GCC unroll 6
        for (size_t y = 0; y < WINOGRAD_IN; y++)
            lines[y] = vecf_load(from + y * w->line + at);
        winograd_in(lines, out);
#pragma GCC unroll 6
        for (size_t m = 0; m < WINOGRAD_IN; m++)
            *(vecf_anywhere *)(to + m * w->to_matrix + at) = out[m];
    }
}

/* From the end, since what is written beyond the end of a line is the next one's beginning. */
LANES_INLINE void winograd_out_line(const struct winograd_planes *w, const float *from, float *to)
{
    for (size_t n = (w->width + LANES - 1) / LANES; n > 0; n--) {
        size_t at = (n - 1) * LANES;
        vecf sums[WINOGRAD_IN], out[WINOGRAD_OUT];
#pragma GCC unroll 6
        for (size_t m = 0; m < WINOGRAD_IN; m++)
            sums[m] = vecf_load(from + m * w->from_matrix + at);
        winograd_out(sums, out);
#pragma GCC unroll 4
        for (size_t y = 0; y < WINOGRAD_OUT; y++)
            *(vecf_anywhere *)(to + y * w->width + at) = out[y];
    }
}

static void winograd_inputs(const struct winograd_planes *work)
{
    const struct winograd_planes copy = *work, *w = &copy;
    for (size_t kx = 0; kx < WINOGRAD_TAPS; kx++)
        for (size_t c = 0; c < w->channels; c++)
            for (size_t row = 0; row < w->rows; row++)
                winograd_in_line(w, w->from + c * w->from_plane + row * WINOGRAD_OUT * w->line + kx,
                                 w->to + (kx * w->channels + c) * w->to_plane + row * w->width);
}

static void winograd_outputs(const struct winograd_planes *work)
{
    const struct winograd_planes copy = *work, *w = &copy;
    for (size_t c = 0; c < w->channels; c++)
        for (size_t row = 0; row < w->rows; row++)
            winograd_out_line(w, w->from + c * w->from_plane + row * w->width,
                              w->to + c * w->to_plane + row * WINOGRAD_OUT * w->width);
}

#define BLAS_KERNEL(method_, rung)                                                                 \
    const struct conv_kernel f32_##method_##_openblas__##rung = {                                  \
        .name = "f32_" #method_ "_openblas__" #rung,                                               \
        .isa = #rung,                                                                              \
        .precision = PRECISION_F32,                                                                \
        .supports = blas_##method_##_supports,                                                     \
        .method = &blas_##method_##_method,                                                        \
        .own = &planes_leaf,                                                                       \
    }
#define BLAS_KERNELS(rung)                                                                         \
    static const struct planes_leaf planes_leaf = {turn_to_planes, turn_from_planes,               \
                                                   winograd_inputs, winograd_outputs};             \
    BLAS_KERNEL(direct, rung);                                                                     \
    BLAS_KERNEL(winograd, rung)
