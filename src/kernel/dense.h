/* Convolutions with one group as an implicit GEMM, for any precision and vector width (see
 * lanes.h): output pixels x output channels, summed over the kernel window and the input channels.
 *
 * Micro-kernel. A block of some pixels x a panel of channels is accumulated in registers over all
 * inputs: for each dword of inputs the panel's vectors of weights are loaded, and the dword of each
 * pixel is broadcast from memory.
 *
 * Inputs. The inputs of an output pixel are `kernel` lines of contiguous elements. For a larger
 * kernel than 1x1 the padded and widened maps are packed into scratch, once for all panels, if it
 * has space for one; otherwise a window that lies inside the image is read in x, and any other one
 * is copied. The pixels of a 1x1 kernel are read in x, unless the stride is more than 1, they are
 * widened, or their distance would map a whole block to one set of the L1 cache: then they are
 * packed one by one, and once for all panels if scratch has space for the map.
 *
 * Weights are packed in panels, [panel][line][dword][channel], and read sequentially. As many
 * panels as fit half the L2 cache form a group, which serves a range of pixels before the next
 * group does. A tile is a group of panels for a range of pixels.
 *
 * Shortcut. A block's shortcut runs first: its outputs, in float32, stay in scratch, that is in the
 * L1 cache, and are the block's residual. Both share the blocks, panels and tiles; inputs of the
 * shortcut have scratch of their own.
 *
 * Gate. A block lies in one image, whose gate is multiplied into the factors of a group of panels
 * in scratch, before the group's first block. So int8 costs what it costs without a gate; floats
 * are multiplied by it once more, in registers. */
#ifndef RESNEXT_KERNEL_DENSE_H
#define RESNEXT_KERNEL_DENSE_H

#include "kernel/lanes.h"

enum { DENSE_BLOCKS = 5, DENSE_NEXT_BYTES = 8 };

/* The work of a micro-kernel: some pixels x a panel of channels. */
struct dense_block {
    const unsigned char *x;
    size_t row; /* bytes from a pixel's inputs to the next one's */
    const unsigned char *weights;
    size_t dwords;             /* of a line */
    size_t lines, line;        /* how many, and bytes from one to the next */
    const unsigned char *next; /* weights to prefetch: DENSE_NEXT_BYTES for each dword */
    size_t at, out_c; /* of the first output, in elements, and from one pixel to the next */
    int channels;     /* that exist in the panel, 1 or more */
    bool gated;       /* factors are lanes_gate_factors() */
    struct lanes_epilogue epilogue;
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
#define DENSE_IS_AT(field)   (offsetof(struct dense_block, field) == DENSE_OFFSET_##field)
_Static_assert(DENSE_IS_AT(x) && DENSE_IS_AT(row) && DENSE_IS_AT(weights) && DENSE_IS_AT(dwords) &&
                   DENSE_IS_AT(lines) && DENSE_IS_AT(line) && DENSE_IS_AT(next),
               "the offsets of fields");

/* The parameters of a kernel. Its micro-kernels are sorted from the largest block down; the last is
 * for 1 pixel. */
struct dense_kernel {
    struct lanes_format format;
    size_t panel;  /* channels: one vector or more */
    size_t cached; /* bytes of weights that stay in the L2 cache */
    size_t min;    /* pixels of a block, if possible: fewer do not hide the latency; 0: any */
    struct {
        size_t pixels;
        void (*run)(const struct dense_block *block);
    } blocks[DENSE_BLOCKS];
};

/* The method of kernels whose `impl` is a struct dense_kernel. */
extern const struct conv_method dense_method;
bool dense_supports(const struct conv_shape *shape);

#endif
