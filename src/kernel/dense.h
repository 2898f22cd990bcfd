/* Convolutions with one group on vectors of any width, for any precision (see lanes.h).
 *
 * How it works. A block of some pixels x a panel of channels of sums stays in registers while all
 * inputs of these pixels go by: for each dword of inputs the panel's vectors of weights are loaded,
 * and each pixel's dword is broadcast out of memory. A pixel's inputs are as many lines of
 * neighbouring elements as the kernel has; those of a 1x1 kernel with stride 1 are taken where they
 * lie, and so is a window that lies inside the image. Otherwise the window that a block meets is
 * copied into scratch (padding and widening end there). The pixels of a 1x1 kernel are copied one
 * by one, if there is a stride, if they are to be widened, or if their distance would put a whole
 * block into one set of the L1 cache: once for all panels, where there is space for the map.
 *
 * Weights are packed in panels, [panel][line][dword][channel], so that they are read in a line; as
 * many panels as fit half the L2 cache serve a range of pixels before the next. A tile is such a
 * group of panels for a range of pixels. */
#ifndef RESNEXT_KERNEL_DENSE_H
#define RESNEXT_KERNEL_DENSE_H

#include "kernel/lanes.h"

enum { DENSE_BLOCKS = 5, DENSE_NEXT_BYTES = 8 };

/* The work of a block function: some pixels and a panel of channels. */
struct dense_block {
    const unsigned char *x;
    size_t row; /* bytes from one pixel's inputs to the next's */
    const unsigned char *weights;
    size_t dwords;             /* of a line */
    size_t lines, line;        /* how many, and bytes from one to the next */
    const unsigned char *next; /* weights for later: DENSE_NEXT_BYTES a dword may be fetched */
    size_t at, out_c; /* of the first output, in elements, and from one pixel to the next */
    int channels;     /* of the panel that exist, at least 1 */
    struct lanes_finish finish;
};

/* The offsets of its first fields, for micro-kernels in assembly. Their text holds the numbers: an
 * asm statement has 30 operands at most, and those of AVX-512 have 28 accumulators. */
#define DENSE_OFFSET_x       0
#define DENSE_OFFSET_row     8
#define DENSE_OFFSET_weights 16
#define DENSE_OFFSET_dwords  24
#define DENSE_OFFSET_lines   32
#define DENSE_OFFSET_line    40
#define DENSE_OFFSET_next    48
#define DENSE_CHECK_OFFSET(field)                                                                  \
    _Static_assert(offsetof(struct dense_block, field) == DENSE_OFFSET_##field, #field)
DENSE_CHECK_OFFSET(x);
DENSE_CHECK_OFFSET(row);
DENSE_CHECK_OFFSET(weights);
DENSE_CHECK_OFFSET(dwords);
DENSE_CHECK_OFFSET(lines);
DENSE_CHECK_OFFSET(line);
DENSE_CHECK_OFFSET(next);

/* A kernel's own part: the functions for blocks of so many pixels, most first, the last for 1. */
struct dense_kernel {
    struct lanes_format format;
    size_t panel;  /* channels: one vector or more */
    size_t cached; /* bytes of weights that are to stay in the L2 cache */
    size_t min;    /* pixels; the few sums of a smaller block wait for each other; 0: they do not */
    struct {
        size_t pixels;
        void (*run)(const struct dense_block *block);
    } blocks[DENSE_BLOCKS];
};

/* Of a kernel whose `own` is a struct dense_kernel. */
extern const struct conv_method dense_method;
bool dense_supports(const struct conv_shape *shape);

#endif
