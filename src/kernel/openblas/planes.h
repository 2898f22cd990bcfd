/* Pixels into planes and back: OpenBLAS's vectors run along pixels, activations have channels side
 * by side. Written once, for vectors of any width (kernel/openblas/turn.h); the fastest that the
 * ladder has is taken. */
#ifndef RESNEXT_KERNEL_OPENBLAS_PLANES_H
#define RESNEXT_KERNEL_OPENBLAS_PLANES_H

#include "kernel/lanes.h"

enum {
    PLANES_LANES = 8,  /* of the widest vector */
    PLANES_COPIES = 3, /* the most of one pixel */
};

/* Pixels to planes: plane c of a copy, which begins at planes + at[c], holds at p + shift what
 * channel `channel` + c of pixel p is, or 0 if that would be beyond the pixel's line. Beside the
 * pixels, PLANES_LANES floats in front of a plane and behind it may be overwritten. */
struct to_planes {
    const float *const *pixels; /* [count], a multiple of PLANES_LANES */
    const int32_t *columns;     /* [count]: where a pixel is in its line, less than `width` */
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

struct planes_turn {
    void (*to)(const struct to_planes *work);
    void (*from)(const struct from_planes *work);
};

/* Of a kernel whose `own` is a struct planes_turn: see grouped.c. */
extern const struct conv_method blas_grouped_method;
bool blas_grouped_supports(const struct conv_shape *shape);

#endif
