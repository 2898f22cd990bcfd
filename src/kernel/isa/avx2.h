/* Primitives of 256-bit vectors, with AVX2 and FMA: see vectors.h. */
#ifndef RESNEXT_KERNEL_ISA_AVX2_H
#define RESNEXT_KERNEL_ISA_AVX2_H

#include <immintrin.h>

#define LANES 8
#include "kernel/isa/vectors.h"

LANES_INLINE vecf vec_fma(vecf a, vecf b, vecf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

LANES_INLINE vecf vec_relu(vecf v)
{
    return _mm256_max_ps(_mm256_setzero_ps(), v); /* of a NaN and a number, the second */
}

LANES_INLINE vec vec_repeat(const unsigned char *x, int count)
{
    if (count == 8)
        return (vec)_mm256_loadu_si256((const __m256i *)(const void *)x);
    if (count == 4)
        return (vec)_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)x));
    if (count == 2)
        return (vec)_mm256_broadcastq_epi64(_mm_loadu_si64(x));
    return vec_broadcast(x);
}

LANES_INLINE vec vec_permute(vec v, vec order)
{
    return (vec)_mm256_permutevar8x32_epi32((__m256i)v, (__m256i)order);
}

LANES_INLINE vecf vec_from_bytes(const uint8_t from[LANES])
{
    __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)from);
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
}

/* To 0..max. What is too small for an int32 becomes the smallest one, which is packed as 0. */
LANES_INLINE __m128i vec_to_whole(vecf v, float max)
{
    __m256i whole = _mm256_cvtps_epi32(_mm256_min_ps(_mm256_set1_ps(max), v));
    return _mm_packus_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
}

LANES_INLINE vec_bytes vec_to_bytes(vecf v)
{
    __m128i words = vec_to_whole(v, 255);
    uint64_t bytes = (uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(words, words));
    return (vec_bytes)bytes;
}

LANES_INLINE vec_halves vec_to_words(vecf v)
{
    return (vec_halves)vec_to_whole(v, CONV_WORD_MAX);
}

/* Packing clips at 0, and interleaves halves of vectors. */
LANES_INLINE void vec_put_words_2(uint16_t *to, const vecf v[2])
{
    const __m256i max = _mm256_set1_epi16(CONV_WORD_MAX);
    __m256i words = _mm256_packus_epi32(_mm256_cvtps_epi32(v[0]), _mm256_cvtps_epi32(v[1]));
    words = _mm256_permute4x64_epi64(_mm256_min_epu16(words, max), _MM_SHUFFLE(3, 1, 2, 0));
    _mm256_storeu_si256((__m256i *)(void *)to, words);
}

LANES_INLINE void vec_put_bytes_4(uint8_t *to, size_t step, const vecf v[4])
{
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i low = _mm256_packs_epi32(_mm256_cvtps_epi32(v[0]), _mm256_cvtps_epi32(v[1]));
    __m256i high = _mm256_packs_epi32(_mm256_cvtps_epi32(v[2]), _mm256_cvtps_epi32(v[3]));
    __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(low, high), order);
    _mm_storeu_si128((__m128i *)(void *)to, _mm256_castsi256_si128(bytes));
    _mm_storeu_si128((__m128i *)(void *)(to + step), _mm256_extracti128_si256(bytes, 1));
}

LANES_INLINE vec_halves vec_to_halves(vecf v)
{
    __m256i bits = (__m256i)vec_round_halves(v);
    return (vec_halves)_mm_packus_epi32(_mm256_castsi256_si128(bits),
                                        _mm256_extracti128_si256(bits, 1));
}

/* Register blocking: 12 accumulators, two weights, an input and a product are all 16 registers.
 * DENSE_CACHED is half the L2 cache of AMD's CPUs. */
enum { DENSE_CACHED = 256 * 1024 };
#define DENSE_LARGE         6
#define DENSE_SIZES(X, ...) X(4, __VA_ARGS__) X(3, __VA_ARGS__) X(2, __VA_ARGS__) X(1, __VA_ARGS__)
/* 8 accumulators, three weights, an input and a product. GROUPED_CHAINS is for kernels with
 * GROUPED_CHAINED. */
#define GROUPED_SIZES(X, ...)                                                                      \
    X(8, __VA_ARGS__)                                                                              \
    X(7, __VA_ARGS__)                                                                              \
    X(6, __VA_ARGS__) X(4, __VA_ARGS__) X(2, __VA_ARGS__) X(1, __VA_ARGS__)
#define GROUPED_CHAINS(X, ...)                                                                     \
    X(8, __VA_ARGS__)                                                                              \
    X(4, __VA_ARGS__) X(3, __VA_ARGS__) X(2, __VA_ARGS__) X(1, __VA_ARGS__)

#endif
