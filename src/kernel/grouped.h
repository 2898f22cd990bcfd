/* 3x3 convolutions with several groups, for any precision and vector width (see lanes.h).
 *
 * Micro-kernel. A vector of accumulators holds output channels of one pixel: the channels of
 * several groups if groups are narrower than the vector; otherwise some or all channels of one
 * group. A run of neighbouring pixels of an output row is computed at once: for each kernel row and
 * each dword of a group's inputs, each pixel of the input row is broadcast once, and multiplied
 * with the weights of the kernel columns that apply to it.
 *
 * If a vector has G groups, lane i belongs to group i % G, and the slab has dword d of all G groups
 * side by side. So a broadcast repeats G dwords across the vector. Only the finished sums are
 * permuted into the order of channels.
 *
 * Inputs are first packed into a slab, [row][column][dword], with padding around them, so that they
 * are contiguous in the L1 cache: in the image, pixels may be a multiple of 4096 bytes apart.
 *
 * Weights are packed [vector][ky][dword][kx][lane]. A tile has one slab: a unit of channels - 64
 * bytes of inputs, or one wider group - for some output rows. */
#ifndef RESNEXT_KERNEL_GROUPED_H
#define RESNEXT_KERNEL_GROUPED_H

#include "kernel/lanes.h"

enum {
    GROUPED_RUNS = 6,
    GROUPED_TAPS = 3,
    GROUPED_UNIT = 64, /* a cache line of the slab and, if nothing is widened, of the image */
};

/* The work of a micro-kernel: a run of pixels of an output row x a vector of channels. */
struct grouped_run {
    const unsigned char *slab; /* the upper left input pixel */
    size_t slab_row;           /* bytes from one input row to the next */
    const unsigned char *weights;
    size_t dwords;        /* inputs of a group */
    size_t pixel;         /* dwords of a pixel in the slab */
    size_t together;      /* groups of the vector: 1, 2, 4 or 8 */
    const int32_t *order; /* the lane of each channel, aligned; unused if `together` is 1 */
    int stride;
    size_t at, out_c; /* of the first output, in elements, and from one pixel to the next */
    int channels;     /* that exist in the vector, 1 or more */
    struct lanes_epilogue epilogue;
};

/* The parameters of a kernel. Its micro-kernels are sorted from the longest run down; the last is
 * for 1 pixel. */
struct grouped_kernel {
    struct lanes_format format;
    /* Like format.copy, with a `to_step` of GROUPED_UNIT; then dword i of each vector is what dword
     * order[i] was. May overwrite all GROUPED_UNIT bytes of each piece. */
    void (*copy_permuted)(const struct lanes_format *format, unsigned char *to,
                          const unsigned char *from, size_t from_step, size_t bytes, size_t times,
                          const int32_t *order);
    size_t max_broadcast; /* pixels of a run if `together` is 1; 0: no limit */
    struct {
        size_t pixels;
        void (*run)(const struct grouped_run *run);
    } runs[GROUPED_RUNS];
};

/* The method of kernels whose `impl` is a struct grouped_kernel. */
extern const struct conv_method grouped_method;
bool grouped_supports(const struct conv_shape *shape);

#endif
