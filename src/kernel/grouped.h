/* 3x3 convolutions with several groups on vectors of any width, for any precision (see lanes.h).
 *
 * How it works. A vector holds the output channels of one pixel: those of several groups where they
 * are narrower than it, or some or all of one group's. A run of some pixels of an output row is
 * computed at once: for each kernel row and each dword of a group's inputs, the pixels of the input
 * row go by, each is broadcast to the lanes once and multiplied with the weights of each of the
 * three kernel columns that meet it.
 *
 * If a vector has G groups, lane i belongs to group i % G, and the slab has dword d of all of them
 * side by side: so what is broadcast is G dwords, over and over, and nothing needs to be permuted
 * but the finished sums, which go back into the order of channels.
 *
 * The inputs of these channels are first copied into a slab, [row][column][dword], with the padding
 * around it, so that they lie together in the L1 cache: in the image, pixels may be a multiple of
 * 4096 bytes apart.
 *
 * Weights are packed [vector][ky][dword][kx][lane]. A tile is the slab of one unit - 64 bytes of
 * inputs, or one wider group - for some output rows. */
#ifndef RESNEXT_KERNEL_GROUPED_H
#define RESNEXT_KERNEL_GROUPED_H

#include "kernel/lanes.h"

enum {
    GROUPED_RUNS = 6,
    GROUPED_TAPS = 3,
    GROUPED_UNIT = 64, /* a cache line of the slab and, if nothing is widened, of the image */
};

/* The work of a run function: pixels of an output row, one vector of channels. */
struct grouped_run {
    const unsigned char *slab; /* the upper left input pixel */
    size_t slab_row;           /* bytes from one input row to the next */
    const unsigned char *weights;
    size_t dwords;        /* inputs of a group */
    size_t pixel;         /* dwords of a pixel in the slab */
    size_t together;      /* groups of the vector: 1, 2, 4 or 8 */
    const int32_t *order; /* the lane of each channel, aligned; unless `together` is 1 */
    int stride;
    size_t at, out_c; /* of the first output, in elements, and from one pixel to the next */
    int channels;     /* of the vector that exist, at least 1 */
    struct lanes_finish finish;
};

/* A kernel's own part: the functions for runs of so many pixels, most first, the last for 1. */
struct grouped_kernel {
    struct lanes_format format;
    /* Like format.copy, to places GROUPED_UNIT bytes apart; then dword i of each vector becomes
     * what number order[i] was. May overwrite all of these places. */
    void (*copy_turned)(const struct lanes_format *format, unsigned char *to,
                        const unsigned char *from, size_t from_step, size_t bytes, size_t times,
                        const int32_t *order);
    size_t max_broadcast; /* pixels of a run of one group; 0: of any there is */
    struct {
        size_t pixels;
        void (*run)(const struct grouped_run *run);
    } runs[GROUPED_RUNS];
};

/* Of a kernel whose `own` is a struct grouped_kernel. */
extern const struct conv_method grouped_method;
bool grouped_supports(const struct conv_shape *shape);

#endif
