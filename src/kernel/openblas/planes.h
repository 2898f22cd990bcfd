/* What is done with vectors around OpenBLAS's products (see grouped.c): pixels into planes and
 * back, since OpenBLAS's vectors run along pixels and activations have channels side by side, and
 * what becomes of planes in between. Written once, for vectors of any width (turn.h, lines.h); the
 * fastest of the ISAs in use is taken. */
#ifndef RESNEXT_KERNEL_OPENBLAS_PLANES_H
#define RESNEXT_KERNEL_OPENBLAS_PLANES_H

#include "kernel/lanes.h"

enum {
    PLANES_LANES = 8, /* of the widest vector */
    WINOGRAD_IN = 6,  /* lines of inputs of a tile, and what they are transformed to */
    WINOGRAD_OUT = 4, /* lines of outputs */
};

/* Pixels to planes: element p of plane c becomes channel `channel` + c of pixel p. Up to 3 floats
 * behind a pixel's channels may be read. */
struct to_planes {
    const float *const *pixels; /* [count], a multiple of PLANES_LANES */
    size_t count, channel, channels;
    float *planes;
    size_t plane; /* floats from one to the next */
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

/* Lines of a plane of each channel, `line` floats apart, to lines of another without a gap, or
 * back. Transformed ones come from and go to as many planes as a tile has, `matrix` floats apart,
 * and `rows` counts tiles. Up to PLANES_LANES floats behind a plane may be read, and written. */
struct plane_lines {
    size_t channels, rows, width;
    const float *from;
    float *to;
    size_t from_plane, to_plane; /* floats from one channel's to the next's */
    size_t line, matrix;
};

struct planes_leaf {
    void (*to)(const struct to_planes *work);
    void (*from)(const struct from_planes *work);
    void (*copy)(const struct plane_lines *work);
    void (*transform_inputs)(const struct plane_lines *work);
    void (*transform_sums)(const struct plane_lines *work);
};

/* Of a kernel whose `own` is a struct planes_leaf. */
extern const struct conv_method blas_grouped_method;
bool blas_grouped_supports(const struct conv_shape *shape);

#endif
