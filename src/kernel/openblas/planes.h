/* Pixels into planes and back: OpenBLAS's vectors run along pixels, activations have channels side
 * by side. Written once, for vectors of any width (kernel/openblas/turn.h); the fastest that the
 * ladder has is taken. */
#ifndef RESNEXT_KERNEL_OPENBLAS_PLANES_H
#define RESNEXT_KERNEL_OPENBLAS_PLANES_H

#include "kernel/lanes.h"

enum {
    PLANES_LANES = 8,  /* of the widest vector */
    PLANES_COPIES = 3, /* the most of one pixel */
    WINOGRAD_OUT = 4,  /* lines of outputs of a tile of winograd.c, and of inputs */
    WINOGRAD_IN = 6,
    WINOGRAD_TAPS = 3,
};

/* Pixels to planes: plane c of a copy, which begins at planes + at[c], holds at p + shift what
 * channel `channel` + c of pixel p is, or 0 if that would be beyond the pixel's line. Beside the
 * pixels, PLANES_LANES floats in front of a plane and behind it may be overwritten. */
struct to_planes {
    const float *const *pixels; /* [count], a multiple of PLANES_LANES */
    const int32_t *columns; /* [count]: where a pixel is in its line, less than `width`; NULL: its
                               line has no end */
    int width;
    size_t count, channel, channels;
    const size_t *at; /* [channels] */
    size_t copies;
    struct {
        float *planes;
        int shift;
    } copy[PLANES_COPIES];
};

/* Planes to pixels: what the finish makes of them, element `at`.. of its y being the first pixel,
 * of `count`, any number. Planes up to the next multiple of PLANES_LANES may be read, and so may 3
 * floats behind a plane, and PLANES_LANES behind the factors. */
struct from_planes {
    const float *planes;
    size_t plane, count, channels;
    struct lanes_finish finish;
    size_t at, pixel; /* pixel: elements from one to the next */
};

/* Winograd's transforms, of some rows of tiles. Inputs: a channel's plane of lines with a column of
 * padding on either side becomes planes [matrix][kx][channel], of lines of `width`. Outputs: planes
 * [matrix][channel] become one of lines of `line` floats for each channel. Up to PLANES_LANES
 * floats behind a plane may be read, and written. */
struct winograd_planes {
    size_t rows, width, line, channels;
    const float *from;
    float *to;
    size_t from_plane, to_plane; /* floats from one to the next */
    size_t from_matrix, to_matrix;
};

struct planes_leaf {
    void (*to)(const struct to_planes *work);
    void (*from)(const struct from_planes *work);
    void (*winograd_inputs)(const struct winograd_planes *work);
    void (*winograd_outputs)(const struct winograd_planes *work);
};

/* Writes the addresses of `count` pixels of line `y`, `step` columns apart from column `x` on, or
 * of `zeros` for those outside the image; returns what follows them. */
const float **planes_list_line(const float **to, const struct conv_shape *shape, const float *image,
                               const float *zeros, int y, int x, int step, size_t count);

/* Groups of a chunk: about a cache line of each pixel. */
size_t planes_chunk(const struct conv_shape *shape);

/* At least `floats`, for a plane; so many that planes do not share a cache's sets. */
size_t planes_step(size_t floats);

/* The next `bytes` of scratch that `at` points to, from a cache line on; moves `at` behind them. */
void *planes_take(size_t *at, void *scratch, size_t bytes);

/* Of kernels whose `own` is a struct planes_leaf. */
extern const struct conv_method blas_direct_method, blas_winograd_method;
bool blas_direct_supports(const struct conv_shape *shape);
bool blas_winograd_supports(const struct conv_shape *shape);

#endif
