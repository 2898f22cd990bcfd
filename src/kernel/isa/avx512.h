/* Primitives of 512-bit vectors, with AVX512F, BW, DQ, VL and FMA: see vectors.h. */
#ifndef RESNEXT_KERNEL_ISA_AVX512_H
#define RESNEXT_KERNEL_ISA_AVX512_H

#include <immintrin.h>

#define LANES 16
#include "kernel/isa/vectors.h"

LANES_INLINE vecf vec_fma(vecf a, vecf b, vecf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

LANES_INLINE vecf vec_relu(vecf v)
{
    return _mm512_max_ps(_mm512_setzero_ps(), v); /* of a NaN and a number, the second */
}

LANES_INLINE vec vec_repeat(const unsigned char *x, int count)
{
    if (count == 8)
        return (vec)_mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)x));
    if (count == 4)
        return (vec)_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)x));
    if (count == 2)
        return (vec)_mm512_broadcastq_epi64(_mm_loadu_si64(x));
    return vec_broadcast(x);
}

LANES_INLINE vec vec_permute(vec v, vec order)
{
    return (vec)_mm512_permutexvar_epi32((__m512i)order, (__m512i)v);
}

LANES_INLINE vecf vec_from_bytes(const uint8_t from[LANES])
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)from);
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
}

/* What is too large for an int32 becomes 0x80000000, which as unsigned is clipped. */
LANES_INLINE vec_bytes vec_to_bytes(vecf v)
{
    return (vec_bytes)_mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(vec_relu(v)));
}

LANES_INLINE vec_halves vec_to_words(vecf v)
{
    const __m512i max = _mm512_set1_epi32(CONV_WORD_MAX);
    return (vec_halves)_mm512_cvtepi32_epi16(
        _mm512_min_epu32(_mm512_cvtps_epi32(vec_relu(v)), max));
}

/* Packing clips at 0, and interleaves quarters of vectors. */
LANES_INLINE void vec_put_words_2(uint16_t *to, const vecf v[2])
{
    const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
    const __m512i max = _mm512_set1_epi16(CONV_WORD_MAX);
    __m512i words = _mm512_packus_epi32(_mm512_cvtps_epi32(v[0]), _mm512_cvtps_epi32(v[1]));
    _mm512_storeu_si512(to, _mm512_permutexvar_epi64(order, _mm512_min_epu16(words, max)));
}

LANES_INLINE void vec_put_bytes_4(uint8_t *to, size_t step, const vecf v[4])
{
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i low = _mm512_packs_epi32(_mm512_cvtps_epi32(v[0]), _mm512_cvtps_epi32(v[1]));
    __m512i high = _mm512_packs_epi32(_mm512_cvtps_epi32(v[2]), _mm512_cvtps_epi32(v[3]));
    __m512i bytes = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(low, high));
    _mm256_storeu_si256((__m256i *)(void *)to, _mm512_castsi512_si256(bytes));
    _mm256_storeu_si256((__m256i *)(void *)(to + step), _mm512_extracti64x4_epi64(bytes, 1));
}

LANES_INLINE vec_halves vec_to_halves(vecf v)
{
#ifdef __AVX512BF16__
    return (vec_halves)_mm512_cvtneps_pbh(v);
#else
    return __builtin_convertvector(vec_round_halves(v), vec_halves);
#endif
}

/* Register blocking: 28 accumulators, two weights and an input are 31 of 32 registers. DENSE_CACHED
 * is half the L2 cache. */
enum { DENSE_CACHED = 512 * 1024 };
#define DENSE_LARGE         14
#define DENSE_SIZES(X, ...) X(7, __VA_ARGS__) X(4, __VA_ARGS__) X(2, __VA_ARGS__) X(1, __VA_ARGS__)
#define GROUPED_SIZES(X, ...)                                                                      \
    X(14, __VA_ARGS__)                                                                             \
    X(8, __VA_ARGS__)                                                                              \
    X(7, __VA_ARGS__) X(4, __VA_ARGS__) X(2, __VA_ARGS__) X(1, __VA_ARGS__)

#endif
