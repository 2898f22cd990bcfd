/* 3x3 convolutions with several groups on vectors of any width, for any precision (see lanes.h).
 *
 * How it works. A vector holds the output channels of one pixel: those of several groups where they
 * are narrower than it, or some or all of one group's. A run of some pixels of an output row is
 * computed at once: for each kernel row and each dword of a group's inputs, the pixels of the input
 * row go by, each is brought into the lanes once - permuted, where the lanes belong to several
 * groups, or else broadcast - and multiplied with the weights of each of the three kernel columns
 * that meet it.
 *
 * The inputs of these channels are first copied into a slab, [row][column][dword], with the padding
 * around it, so that they lie together in the L1 cache: in the image, pixels may be a multiple of
 * 4096 bytes apart.
 *
 * Weights are packed [vector][ky][dword][kx][lane]. A tile is the slab of one unit - 16 channels,
 * or one wider group - for some output rows. */
#ifndef RESNEXT_KERNEL_GROUPED_H
#define RESNEXT_KERNEL_GROUPED_H

#include "kernel/lanes.h"

enum { GROUPED_RUNS = 6, GROUPED_TAPS = 3 };

/* The work of a run function: pixels of an output row, one vector of channels. */
struct grouped_run {
    const unsigned char *slab; /* the upper left input pixel */
    size_t slab_row;           /* bytes from one input row to the next */
    const unsigned char *weights;
    size_t dwords; /* inputs of a group */
    size_t pixel;  /* dwords of a pixel in the slab */
    const int32_t
        *permute; /* [dwords][lanes]: which dword each takes, aligned; NULL: all the same */
    int stride;
    size_t at, out_c; /* of the first output, in elements, and from one pixel to the next */
    int channels;     /* of the vector that exist, at least 1 */
    struct lanes_finish finish;
};

/* A kernel's own part: the functions for runs of so many pixels, most first, the last for 1. */
struct grouped_kernel {
    struct lanes_format format;
    size_t most_broadcast; /* pixels of a run that permutes nothing; 0: of any there is */
    struct {
        size_t pixels;
        void (*run)(const struct grouped_run *run);
    } runs[GROUPED_RUNS];
};

/* Of a kernel whose `own` is a struct grouped_kernel. */
extern const struct conv_method grouped_method;
bool grouped_supports(const struct conv_shape *shape);

#endif
