/* What int8 does with its sums, for kernel/lanes.h. */
#ifndef RESNEXT_KERNEL_AVX2_INT8_H
#define RESNEXT_KERNEL_AVX2_INT8_H

#include "kernel/avx2/lanes.h"

/* A few bytes at the end of something, as a number; the others are 0. */
LANES_INLINE uint64_t int8_load_few(const uint8_t *from, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)from[i] << 8 * i;
    return value;
}

LANES_INLINE void int8_store_few(uint8_t *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> 8 * i);
}

LANES_INLINE __m256 int8_residual(const uint8_t *from, int channels)
{
    uint64_t bytes;
    if (channels >= LANES)
        memcpy(&bytes, from, sizeof bytes);
    else
        bytes = int8_load_few(from, channels);
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)bytes)));
}

/* requantize() in kernel/quantize.h, 8 times. */
LANES_INLINE void int8_finish(const struct lanes_finish *f, size_t at, int channels, __m256i sum)
{
    const float *factors = f->factors;
    __m256 v = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_loadu_ps(factors),
                               _mm256_loadu_ps(factors + f->factor_stride));
    if (f->y_float) {
        if (f->relu)
            v = _mm256_max_ps(v, _mm256_setzero_ps());
        _mm256_maskstore_ps((float *)f->y + at, lanes_mask(channels), v);
        return;
    }
    if (f->residual)
        v = _mm256_fmadd_ps(int8_residual((const uint8_t *)f->residual + at, channels),
                            _mm256_loadu_ps(factors + 2 * f->factor_stride), v);
    /* what is too small for an integer becomes the smallest one, and is then packed as 0 */
    __m256i whole = _mm256_cvtps_epi32(_mm256_min_ps(_mm256_set1_ps(255), v));
    __m128i words =
        _mm_packus_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    __m128i bytes = _mm_packus_epi16(words, words);
    if (channels >= LANES)
        _mm_storel_epi64((__m128i *)((uint8_t *)f->y + at), bytes);
    else
        int8_store_few((uint8_t *)f->y + at, (uint64_t)_mm_cvtsi128_si64(bytes), channels);
}

#endif
