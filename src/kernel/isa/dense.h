/* The micro-kernels of kernel/dense.h over an instruction set's primitives. A panel is two vectors.
 * The instruction set brings DENSE_LARGE, the pixels of its largest block, DENSE_SIZES, a list of
 * the sizes of the others, largest first, and DENSE_CACHED. */
#ifndef RESNEXT_KERNEL_ISA_DENSE_H
#define RESNEXT_KERNEL_ISA_DENSE_H

#include "kernel/dense.h"
#include "kernel/isa/epilogue.h"

enum {
    DENSE_AHEAD = 3072, /* bytes that weights are prefetched ahead */
    DENSE_MAX = 14,     /* pixels of a block */
};

/* The accumulators of pixel m: the lower and the upper vector of channels. */
typedef vec dense_sums[DENSE_MAX][2];

/* Multiplies sums of floats by the gate, which is the second kind of factors. */
LANES_INLINE void dense_gate(const struct lanes_epilogue *f, int pixels, dense_sums sums)
{
    const float *gate = f->factors + f->factor_stride;
    vecf low = vecf_load(gate), high = vecf_load(gate + LANES);
#pragma GCC unroll 14
    for (int m = 0; m < pixels; m++) {
        sums[m][0] = (vec)((vecf)sums[m][0] * low);
        sums[m][1] = (vec)((vecf)sums[m][1] * high);
    }
}

LANES_INLINE void dense_epilogue(const struct dense_block *b, int pixels, enum precision precision,
                                 dense_sums sums)
{
    if (precision != PRECISION_INT8 && b->gated)
        dense_gate(&b->epilogue, pixels, sums);
    const struct vec_sums s = {b->at, b->out_c, b->channels, pixels, 2};
    vec_epilogue_all(precision, &b->epilogue, s, sums[0]);
}

/* A micro-kernel; all arguments but the first are constants. */
LANES_INLINE void dense_pixels(const struct dense_block *b, int pixels, enum precision precision,
                               lanes_multiply_add multiply_add)
{
    const unsigned char *x = b->x, *w = b->weights;
    size_t row = b->row;
    dense_sums sums;
#pragma GCC unroll 14
    for (int m = 0; m < pixels; m++)
        sums[m][0] = sums[m][1] = (vec){0};
    for (size_t line = 0; line < b->lines; line++, x += b->line - b->dwords * 4)
        for (size_t d = 0; d < b->dwords; d++, x += 4, w += 2 * LANES_BYTES) {
            vec w0 = *(const vec *)w, w1 = *(const vec *)(w + LANES_BYTES);
            if (pixels > 2)
                __builtin_prefetch(w + 2 * DENSE_AHEAD);
            if (pixels > 2 && 2 * LANES_BYTES > 64)
                __builtin_prefetch(w + 2 * DENSE_AHEAD + LANES_BYTES);
#pragma GCC unroll 14
            for (int m = 0; m < pixels; m++) {
                vec v = vec_broadcast(x + (size_t)m * row);
                sums[m][0] = multiply_add(sums[m][0], v, w0);
                sums[m][1] = multiply_add(sums[m][1], v, w1);
            }
        }
    dense_epilogue(b, pixels, precision, sums);
}

/* For micro-kernels in assembly: a field of the block, the bytes of a vector, the accumulators of a
 * pixel as operands, and zeros in them. */
#define DENSE_FIELD(field) LEAF_TEXT(DENSE_OFFSET_##field) "(%[block])"
#define DENSE_VECTOR       "4*" LEAF_TEXT(LANES)
#define DENSE_SUM(m, address, constraint, sums)                                                    \
    [low##m] constraint((sums)[m][0]), [high##m] constraint((sums)[m][1])
#define DENSE_COMMA ,
#define DENSE_ZERO(m, address, op)                                                                 \
    op " %[low" #m "], %[low" #m "], %[low" #m "]\n\t" op " %[high" #m "], %[high" #m              \
       "], %[high" #m "]\n\t"

/* A kernel; the micro-kernel of DENSE_LARGE pixels is defined before it. */
#define DENSE_FUNCTION(pixels, id, precision, multiply_add)                                        \
    static void LEAF_TILE(id, pixels, 2)(const struct dense_block *b)                              \
    {                                                                                              \
        dense_pixels(b, pixels, precision, multiply_add);                                          \
    }
#define DENSE_ENTRY(pixels, id, ...) {pixels, LEAF_TILE(id, pixels, 2)},
#define DENSE_KERNEL(id, precision, element, copy, multiply_add, ...)                              \
    DENSE_SIZES(DENSE_FUNCTION, id, precision, multiply_add)                                       \
    static const struct dense_kernel id = {                                                        \
        .format = {precision, element, LANES, LEAF_NAME(copy)},                                    \
        .panel = 2 * LANES,                                                                        \
        .cached = DENSE_CACHED,                                                                    \
        .blocks = {DENSE_ENTRY(DENSE_LARGE, id) DENSE_SIZES(DENSE_ENTRY, id)},                     \
        __VA_ARGS__};                                                                              \
    LEAF_KERNEL(id, precision, dense_supports, &dense_method, &id)

#endif
