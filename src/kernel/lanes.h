/* What kernels on vectors of 32-bit lanes share, for any precision and vector width. A lane
 * accumulates one output channel. A step multiplies a dword of inputs with the dword of weights in
 * each lane and adds the products to the accumulators. A dword holds neighbouring channels of a
 * pixel: one float32 or bfloat16 widened to it, two bfloat16, two bytes widened to 16 bits, or four
 * bytes. So everything around the steps is written once, for dwords; an instruction set brings the
 * micro-kernels, a precision the multiply-add and the epilogue. */
#ifndef RESNEXT_KERNEL_LANES_H
#define RESNEXT_KERNEL_LANES_H

#include "kernel/kernel.h"
#include "kernel/quantize.h"

/* For functions with constant arguments: inlined, they have no branches and no indirect calls. */
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
#define LEAF_KERNEL(id, precision, supports, method, impl)                                         \
    const struct conv_kernel LEAF_NAME(id) = {                                                     \
        LEAF_TEXT(LEAF_NAME(id)), LEAF_TEXT(LEAF_ISA), precision, supports, method, impl}

/* A dword of any elements, unaligned. */
typedef int32_t __attribute__((may_alias, aligned(1))) lanes_dword;

/* Packs `times` pieces of `bytes` bytes of activations, `from_step` apart, in the format's
 * elements, `to_step` apart. Reads and writes nothing else. */
typedef void lanes_copy_function(unsigned char *to, size_t to_step, const unsigned char *from,
                                 size_t from_step, size_t bytes, size_t times);

/* The layout of dwords and vectors. */
struct lanes_format {
    enum precision precision;
    size_t element; /* bytes of an input or a weight in a dword; those of x are widened to it */
    size_t lanes;   /* of a vector */
    lanes_copy_function *copy;
};

/* How the sums of a vector's channels become outputs. `factors` points to those of the first
 * channel; the kinds (bias; in int8 multiplier, offset, residual multiplier, and gated offset,
 * which is not read here) are `factor_stride` floats apart. */
struct lanes_epilogue {
    const float *factors;
    size_t factor_stride;
    const void *residual;
    const float *shortcut; /* another residual, [pixels][channels] of the block, or NULL */
    void *y;
    enum conv_output output;
    bool relu, bounded;
};

/* The dwords that hold `elements`, rounded up. */
size_t lanes_dwords(const struct lanes_format *format, size_t elements);

/* Kinds of factors: 1, or 4 for int8. */
size_t lanes_factor_kinds(enum precision precision);

/* Weights [first, first + count) in the format's elements, contiguous. */
void lanes_put_weights(const struct lanes_format *format, const struct conv_weights *weights,
                       size_t first, size_t count, unsigned char *to);

/* The factors of channel `channel`: kind k is to[k * stride]. */
void lanes_put_factors(enum precision precision, const struct conv_weights *weights, size_t channel,
                       size_t stride, float *to);

/* Those of int8 at `factors`. */
struct requantization lanes_requantization(const float *factors, size_t stride);

/* Kinds that lanes_gate_factors() writes, whatever the precision. */
enum { LANES_GATED_KINDS = 3 };

/* The factors of `channels` channels with a gate: kind k of channel c is to[k * to_stride + c]. In
 * int8 the same kinds as without a gate, which is multiplied in: so nothing else has to know of it.
 * In other precisions the bias, multiplied, and the gate, by which sums have to be multiplied. */
void lanes_gate_factors(enum precision precision, const float *factors, size_t stride,
                        const float *gate, size_t channels, float *to, size_t to_stride);

/* The padding pixel, `channels` elements as in x. */
void lanes_put_padding(enum precision precision, const struct conv_weights *weights,
                       size_t channels, unsigned char *to);

#endif
