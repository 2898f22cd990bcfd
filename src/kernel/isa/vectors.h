/* Vectors of LANES dwords, and what is written once over the primitives of an instruction set.
 *
 * A leaf is compiled for one instruction set. It includes the header of its primitives, which says
 * how many LANES there are, includes this file, and brings
 *   vec_fma(a, b, c)   a * b + c, rounded once
 *   vec_relu(v)        max(0, v); a NaN stays one
 *   vec_from_bytes(p)  LANES bytes
 *   vec_to_bytes(v)    the nearest integers, ties to even, clipped to 0..255
 *   vec_to_halves(v)   bfloat16, ties to even: vec_round_halves(), or an instruction
 * and what its loops add products with, a lanes_multiply_add for each precision. */
#ifndef RESNEXT_KERNEL_ISA_VECTORS_H
#define RESNEXT_KERNEL_ISA_VECTORS_H

#include "kernel/lanes.h"

enum { LANES_BYTES = 4 * LANES };

/* A lane's dword: a sum, or elements side by side. */
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

/* Writes what becomes of sums to elements `at`.. of y; int8 as requantize() in kernel/quantize.h
 * says. */
LANES_INLINE void vec_finish(enum precision precision, const struct lanes_finish *f, size_t at,
                             vec sum)
{
    const bool bytes = precision == PRECISION_INT8;
    const float *factors = f->factors;
    vecf v;
    if (bytes)
        v = vec_fma(__builtin_convertvector(sum, vecf), vecf_load(factors),
                    vecf_load(factors + f->factor_stride));
    else
        v = (vecf)sum + vecf_load(factors);
    if (f->residual && bytes)
        v = vec_fma(vec_get(precision, f->residual, at), vecf_load(factors + 2 * f->factor_stride),
                    v);
    else if (f->residual)
        v += vec_get(precision, f->residual, at);
    if (f->relu && (!bytes || f->y_float))
        v = vec_relu(v);
    vec_put(f->y_float ? PRECISION_F32 : precision, f->y, at, v);
}

/* The same for the first `count` lanes alone, if there are so many. */
LANES_INLINE void vec_finish_few(enum precision precision, const struct lanes_finish *f, size_t at,
                                 int count, vec sum)
{
    size_t size = precision_size(precision), out = f->y_float ? sizeof(float) : size;
    size_t elements = (size_t)(count < 0 ? 0 : count < LANES ? count : LANES);
    unsigned char residual[LANES_BYTES] = {0}, y[LANES_BYTES];
    struct lanes_finish whole = *f;
    if (f->residual) {
        memcpy(residual, (const unsigned char *)f->residual + at * size, elements * size);
        whole.residual = residual;
    }
    whole.y = y;
    vec_finish(precision, &whole, 0, sum);
    memcpy((unsigned char *)f->y + at * out, y, elements * out);
}

/* The sums of some pixels, [pixels][vectors], and where their outputs go: the first channel's of
 * the first pixel to element `at`, the next pixel's out_c further on. */
struct vec_sums {
    size_t at, out_c;
    int channels, pixels, vectors;
};

LANES_INLINE void vec_finish_full(enum precision precision, struct lanes_finish f,
                                  struct vec_sums s, const vec *sums)
{
    const float *factors = f.factors;
#pragma GCC unroll 14
    for (int m = 0; m < s.pixels; m++, s.at += s.out_c) {
        __asm__("" : "+r"(s.at)); /* or all addresses are computed first, and kept on the stack */
#pragma GCC unroll 2
        for (int v = 0; v < s.vectors; v++) {
            f.factors = factors + v * LANES;
            vec_finish(precision, &f, s.at + (size_t)v * LANES, sums[m * s.vectors + v]);
        }
    }
}

/* Where not all channels exist. */
static __attribute__((noinline)) void
vec_finish_edge(enum precision precision, struct lanes_finish f, struct vec_sums s, const vec *sums)
{
    const float *factors = f.factors;
    for (int i = 0; i < s.pixels * s.vectors; i++) {
        int m = i / s.vectors, first = i % s.vectors * LANES;
        f.factors = factors + first;
        vec_finish_few(precision, &f, s.at + (size_t)m * s.out_c + (size_t)first,
                       s.channels - first, sums[i]);
    }
}

/* `f`, of which the compiler knows what it has: so vec_finish() has no branches. */
LANES_INLINE struct lanes_finish vec_known(const struct lanes_finish *f, bool residual, bool relu)
{
    struct lanes_finish known = *f;
    if (residual != (known.residual != NULL))
        __builtin_unreachable();
    known.relu = relu;
    return known;
}

/* Writes the outputs of at most 28 sums. Most channels exist, and most have ReLU. (The edge gets a
 * copy, so that sums need not be in memory otherwise.) */
LANES_INLINE void vec_finish_all(enum precision precision, const struct lanes_finish *f,
                                 struct vec_sums s, const vec *sums)
{
    if (s.channels < s.vectors * LANES) {
        vec copy[28];
#pragma GCC unroll 28
        for (int i = 0; i < s.pixels * s.vectors; i++)
            copy[i] = sums[i];
        vec_finish_edge(precision, *f, s, copy);
    } else if (f->residual && f->relu) {
        vec_finish_full(precision, vec_known(f, true, true), s, sums);
    } else if (!f->residual && f->relu) {
        vec_finish_full(precision, vec_known(f, false, true), s, sums);
    } else {
        vec_finish_full(precision, *f, s, sums);
    }
}

#endif
