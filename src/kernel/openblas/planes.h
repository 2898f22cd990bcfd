/* The vector code around OpenBLAS's products (see grouped.c): activations are transposed from NHWC
 * to planes of channels and back, since OpenBLAS's vectors run along pixels; planes are copied or
 * transformed in between. Written once for any vector width, in leaf.h. */
#ifndef RESNEXT_KERNEL_OPENBLAS_PLANES_H
#define RESNEXT_KERNEL_OPENBLAS_PLANES_H

#include "kernel/lanes.h"

enum {
    PLANES_LANES = 8, /* of the widest vector */
    WINOGRAD_IN = 6,  /* input lines of a tile, before and after the transform */
    WINOGRAD_OUT = 4, /* output lines of a tile */
};

/* Pixels to planes: element p of plane c becomes channel `channel` + c of pixel p. Up to 3 floats
 * behind a pixel's channels may be read. */
struct to_planes {
    const float *const *pixels; /* [count], a multiple of PLANES_LANES */
    size_t count, channel, channels;
    float *planes;
    size_t plane; /* floats from one to the next */
};

/* Planes to `count` pixels, through the epilogue; the first pixel is at element `at` of its y.
 * Planes up to the next multiple of PLANES_LANES may be read, and so may 3 floats behind a plane
 * and PLANES_LANES behind the factors. */
struct from_planes {
    const float *planes;
    size_t plane, count, channels;
    struct lanes_epilogue epilogue;
    size_t at, pixel; /* pixel: elements from one to the next */
};

/* Lines of the plane of each channel, `line` floats apart, to contiguous lines of another plane.
 * Winograd's transforms read tiles of lines and write a plane for each transformed line, `matrix`
 * floats apart, or the reverse; `rows` counts tiles. Up to PLANES_LANES floats behind a plane may
 * be read and written. */
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

/* Of a kernel whose `impl` is a struct planes_leaf. */
extern const struct conv_method blas_grouped_method;
bool blas_grouped_supports(const struct conv_shape *shape);

#endif
