/* What kernels on vectors of 32-bit lanes have in common, whatever the precision and the vectors'
 * width. A lane is one output channel's sum. One step multiplies a dword of inputs - one float32,
 * or bfloat16 widened to it, two bfloat16, four bytes, or two bytes widened to 16 bits,
 * neighbouring channels of a pixel - with the dword of weights in each lane, and adds the products
 * to the sum. So everything around the steps is written once, for dwords; an instruction set brings
 * the loops of steps, a precision the instruction and what becomes of a sum. */
#ifndef RESNEXT_KERNEL_LANES_H
#define RESNEXT_KERNEL_LANES_H

#include "kernel/kernel.h"

/* Where it is used its arguments are constants, and calls through them become instructions. */
#define LANES_INLINE static inline __attribute__((always_inline))

/* Names of what the file of an instruction set (a leaf, which defines LEAF_ISA) has, so that
 * profiles tell them apart: f32_to_planes__avx2, and for a micro-kernel with `pixels` x `vectors`
 * vectors of accumulators f32_dense_6x2v__avx2. */
#define LEAF_NAME(name)                   LEAF_NAME_OF(name, LEAF_ISA)
#define LEAF_NAME_OF(name, isa)           LEAF_PASTE(name, isa)
#define LEAF_PASTE(name, isa)             name##__##isa
#define LEAF_TILE(name, pixels, vectors)  LEAF_NAME(LEAF_TILED(name, pixels, vectors))
#define LEAF_TILED(name, pixels, vectors) name##_##pixels##x##vectors##v
#define LEAF_TEXT(x)                      LEAF_TEXT_OF(x)
#define LEAF_TEXT_OF(x)                   #x

/* A row of kernels.def. */
#define LEAF_KERNEL(id, precision_, supports_, method_, impl_)                                     \
    const struct conv_kernel LEAF_NAME(id) = {                                                     \
        .name = LEAF_TEXT(LEAF_NAME(id)),                                                          \
        .isa = LEAF_TEXT(LEAF_ISA),                                                                \
        .precision = precision_,                                                                   \
        .supports = supports_,                                                                     \
        .method = method_,                                                                         \
        .impl = impl_,                                                                             \
    }

/* A dword of whatever elements there are, anywhere. */
typedef int32_t __attribute__((may_alias, aligned(1))) lanes_dword;

/* Copies `times` pieces of `bytes` bytes of activations from x, `from_step` apart, to where the
 * steps read them, `to_step` apart, in the format's elements. Reads and writes nothing else. */
typedef void lanes_copy_function(unsigned char *to, size_t to_step, const unsigned char *from,
                                 size_t from_step, size_t bytes, size_t times);

/* What a dword and a vector are made of. */
struct lanes_format {
    enum precision precision;
    size_t element; /* bytes of an input, or a weight, in a dword; widened if x has less */
    size_t lanes;   /* of a vector */
    lanes_copy_function *copy;
};

/* How the sums of a vector's channels become outputs: `factors` are those of the first channel;
 * each kind (bias; in int8 multiplier, offset, residual multiplier) stands `factor_stride` floats
 * behind the one before it. */
struct lanes_finish {
    const float *factors;
    size_t factor_stride;
    const void *residual;
    void *y;
    bool relu, y_float;
};

/* dwords that hold `elements`. */
size_t lanes_dwords(const struct lanes_format *format, size_t elements);

/* 1, or 3 for int8. */
size_t lanes_factor_kinds(enum precision precision);

/* `count` weights from number `first` on as the format has them, one behind the other. */
void lanes_put_weights(const struct lanes_format *format, const struct conv_weights *weights,
                       size_t first, size_t count, unsigned char *to);

/* The factors of channel `channel`: kind k is to[k * stride]. */
void lanes_put_factors(enum precision precision, const struct conv_weights *weights, size_t channel,
                       size_t stride, float *to);

/* The pixel outside the image, `channels` elements as x has them. */
void lanes_put_padding(enum precision precision, const struct conv_weights *weights,
                       size_t channels, unsigned char *to);

#endif
