/* Primitives of 128-bit vectors in the compiler's terms, for any CPU that has them: see vectors.h.
 */
#ifndef RESNEXT_KERNEL_ISA_GENERIC_H
#define RESNEXT_KERNEL_ISA_GENERIC_H

#include <math.h>

#define LANES 4
#include "kernel/isa/vectors.h"

typedef double vec_doubles __attribute__((vector_size(8 * LANES)));

LANES_INLINE vecf vec_select(vec mask, vecf a, vecf b)
{
    return (vecf)((mask & (vec)a) | (~mask & (vec)b));
}

/* In double a product is exact, and a sum rounded twice, which is seen only if the first rounding
 * ended halfway between two floats. (Results below FLT_MIN may differ in their last bit.) */
LANES_INLINE vecf vec_fma(vecf a, vecf b, vecf c)
{
    typedef uint64_t bits __attribute__((vector_size(8 * LANES)));
    const uint64_t below = 0x1fffffff, halfway = 0x10000000;
    vec_doubles sum =
        __builtin_convertvector(a, vec_doubles) * __builtin_convertvector(b, vec_doubles) +
        __builtin_convertvector(c, vec_doubles);
    bits rest = ((bits)sum & below) ^ halfway;
    vecf v = __builtin_convertvector(sum, vecf);
    if (!rest[0] || !rest[1] || !rest[2] || !rest[3])
        for (int i = 0; i < LANES; i++)
            v[i] = fmaf(a[i], b[i], c[i]);
    return v;
}

/* The greater one; `b` if either is a NaN. */
LANES_INLINE vecf vec_max(vecf a, vecf b)
{
#ifdef __SSE__
    return __builtin_ia32_maxps(a, b);
#else
    return vec_select(a > b, a, b);
#endif
}

LANES_INLINE vecf vec_relu(vecf v)
{
    return vec_max((vecf){0}, v);
}

LANES_INLINE vec vec_repeat(const unsigned char *x, int count)
{
    const lanes_dword *dwords = (const lanes_dword *)x;
    return (vec){dwords[0], dwords[1 % count], dwords[2 % count], dwords[3 % count]};
}

LANES_INLINE vec vec_permute(vec v, vec order)
{
    return (vec){v[order[0]], v[order[1]], v[order[2]], v[order[3]]};
}

LANES_INLINE vecf vec_from_bytes(const uint8_t from[LANES])
{
    return (vecf){from[0], from[1], from[2], from[3]};
}

/* To 0..max. The lowest bits of a float32 with the exponent of 2^23 are an integer. */
LANES_INLINE vec vec_to_whole(vecf v, float max)
{
    const vecf most = (vecf){0} + max;
    vecf clipped = vec_relu(vec_select(v > most, most, v));
    return (vec)(clipped + 0x1.8p23F) & UINT16_MAX;
}

LANES_INLINE vec_bytes vec_to_bytes(vecf v)
{
    return __builtin_convertvector(vec_to_whole(v, 255), vec_bytes);
}

LANES_INLINE vec_halves vec_to_words(vecf v)
{
    return __builtin_convertvector(vec_to_whole(v, CONV_WORD_MAX), vec_halves);
}

LANES_INLINE void vec_put_words_2(uint16_t *to, const vecf v[2])
{
    for (size_t i = 0; i < 2; i++) {
        vec_halves words = vec_to_words(v[i]);
        memcpy(to + i * LANES, &words, sizeof words);
    }
}

LANES_INLINE void vec_put_bytes_4(uint8_t *to, size_t step, const vecf v[4])
{
    for (size_t i = 0; i < 4; i++) {
        vec_bytes bytes = vec_to_bytes(v[i]);
        memcpy(to + i / 2 * step + i % 2 * LANES, &bytes, LANES);
    }
}

LANES_INLINE vec_halves vec_to_halves(vecf v)
{
    return __builtin_convertvector(vec_round_halves(v), vec_halves);
}

/* Register blocking: 8 accumulators, two weights, an input and a product fit 16 registers.
 * DENSE_CACHED is half the L2 cache of small CPUs. */
enum { DENSE_CACHED = 128 * 1024 };
#define DENSE_LARGE         4
#define DENSE_SIZES(X, ...) X(3, __VA_ARGS__) X(2, __VA_ARGS__) X(1, __VA_ARGS__)
#define GROUPED_SIZES(X, ...)                                                                      \
    X(7, __VA_ARGS__) X(4, __VA_ARGS__) X(2, __VA_ARGS__) X(1, __VA_ARGS__)

#endif
