/* Vectors of LANES dwords, and code over the primitives of any instruction set.
 *
 * A leaf is compiled for one instruction set. It includes the header of its primitives, which says
 * how many LANES there are, includes this file, and brings
 *   vec_fma(a, b, c)   a * b + c, rounded once
 *   vec_relu(v)        max(0, v); a NaN stays one
 *   vec_from_bytes(p)  LANES bytes
 *   vec_to_bytes(v)    the nearest integers, ties to even, clipped to 0..255
 *   vec_to_words(v)    the same, clipped to 0..CONV_WORD_MAX
 *   vec_to_halves(v)   bfloat16, ties to even: vec_round_halves(), or an instruction
 *   vec_repeat(x, n)   the n dwords at x repeated; n is 1, 2, 4 or 8, and LANES at most
 *   vec_permute(v, o)  dword o[i] of v in lane i
 * for numbers that are CONV_BOUND in size at most
 *   vec_put_words_2(to, v)        vec_to_words of v[0] and v[1]
 *   vec_put_bytes_4(to, step, v)  vec_to_bytes of v[0] and v[1], and `step` bytes behind these, of
 *                                 v[2] and v[3]
 * and, for dense.h and grouped.h, lists of block sizes and a lanes_multiply_add for each
 * precision. */
#ifndef RESNEXT_KERNEL_ISA_VECTORS_H
#define RESNEXT_KERNEL_ISA_VECTORS_H

#include "kernel/lanes.h"

enum { LANES_BYTES = 4 * LANES };

/* Dwords: sums, or elements side by side. */
typedef int32_t vec __attribute__((vector_size(LANES_BYTES), may_alias));
typedef float vecf __attribute__((vector_size(LANES_BYTES)));
typedef uint16_t vec_halves __attribute__((vector_size(2 * LANES)));
typedef uint8_t vec_bytes __attribute__((vector_size(LANES)));
typedef vecf vecf_anywhere __attribute__((aligned(4), may_alias));

/* sum + x * w, in every lane. */
typedef vec (*lanes_multiply_add)(vec sum, vec x, vec w);

/* The dword at `x` in every lane. */
LANES_INLINE vec vec_broadcast(const unsigned char *x)
{
    return (vec){0} + *(const lanes_dword *)x;
}

LANES_INLINE vecf vecf_load(const float *from)
{
    return *(const vecf_anywhere *)from;
}

/* bf16_from_f32() in kernel/element.h: what goes into a lane's lower half. */
LANES_INLINE vec vec_round_halves(vecf v)
{
    typedef uint32_t unsigned_vec __attribute__((vector_size(LANES_BYTES)));
    unsigned_vec bits = (unsigned_vec)v;
    return (vec)((bits + (bits >> 16 & 1) + 0x7fff) >> 16);
}

LANES_INLINE vecf vec_fma(vecf a, vecf b, vecf c);
LANES_INLINE vecf vec_relu(vecf v);
LANES_INLINE vecf vec_from_bytes(const uint8_t from[LANES]);
LANES_INLINE vec_bytes vec_to_bytes(vecf v);
LANES_INLINE vec_halves vec_to_halves(vecf v);
LANES_INLINE vec_halves vec_to_words(vecf v);
LANES_INLINE void vec_put_words_2(uint16_t *to, const vecf v[2]);
LANES_INLINE void vec_put_bytes_4(uint8_t *to, size_t step, const vecf v[4]);

/* LANES elements from number `at` on. */
LANES_INLINE vecf vec_get(enum precision precision, const void *from, size_t at)
{
    vec_halves halves;
    if (precision == PRECISION_F32)
        return vecf_load((const float *)from + at);
    if (precision == PRECISION_INT8)
        return vec_from_bytes((const uint8_t *)from + at);
    memcpy(&halves, (const uint16_t *)from + at, sizeof halves);
    return (vecf)(__builtin_convertvector(halves, vec) << 16);
}

LANES_INLINE void vec_put(enum precision precision, void *to, size_t at, vecf v)
{
    if (precision == PRECISION_INT8) {
        vec_bytes bytes = vec_to_bytes(v);
        memcpy((uint8_t *)to + at, &bytes, sizeof bytes);
    } else if (precision == PRECISION_BF16) {
        vec_halves halves = vec_to_halves(v);
        memcpy((uint16_t *)to + at, &halves, sizeof halves);
    } else {
        *(vecf_anywhere *)((float *)to + at) = v;
    }
}

/* LANES words of int8 from number `at` on. */
LANES_INLINE void vec_put_words(void *to, size_t at, vecf v)
{
    vec_halves words = vec_to_words(v);
    memcpy((uint16_t *)to + at, &words, sizeof words);
}

#endif
