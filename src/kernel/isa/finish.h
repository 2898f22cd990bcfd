/* What becomes of the sums of a leaf's loops. */
#ifndef RESNEXT_KERNEL_ISA_FINISH_H
#define RESNEXT_KERNEL_ISA_FINISH_H

#include "kernel/isa/vectors.h"

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
static __attribute__((noinline)) void LEAF_NAME(vec_finish_edge)(enum precision precision,
                                                                 struct lanes_finish f,
                                                                 struct vec_sums s, const vec *sums)
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
        LEAF_NAME(vec_finish_edge)(precision, *f, s, copy);
    } else if (f->residual && f->relu) {
        vec_finish_full(precision, vec_known(f, true, true), s, sums);
    } else if (!f->residual && f->relu) {
        vec_finish_full(precision, vec_known(f, false, true), s, sums);
    } else {
        vec_finish_full(precision, *f, s, sums);
    }
}

#endif
