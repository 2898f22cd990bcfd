/* bfloat16 for lanes.h, without the instructions for it: widened to float32 when it is gathered,
 * beside weights that were widened when they were packed. */
#ifndef RESNEXT_KERNEL_AVX2_BF16_H
#define RESNEXT_KERNEL_AVX2_BF16_H

#include "kernel/avx2/f32.h"

LANES_INLINE __m256 bf16_widen(__m128i x)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
}

/* bf16_from_f32() in kernel/element.h, 8 times. */
LANES_INLINE __m128i bf16_round(__m256 v)
{
    __m256i bits = _mm256_castps_si256(v);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    bits = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    bits = _mm256_srli_epi32(bits, 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1));
}

LANES_INLINE void bf16_finish(const struct lanes_finish *f, size_t at, int channels, __m256i sum)
{
    __m256 v = _mm256_add_ps(_mm256_castsi256_ps(sum), _mm256_loadu_ps(f->factors));
    size_t bytes = (size_t)(channels < LANES ? channels : LANES) * sizeof(uint16_t);
    __m128i half = _mm_setzero_si128();
    if (f->residual) {
        memcpy(&half, (const uint16_t *)f->residual + at, bytes);
        v = _mm256_add_ps(v, bf16_widen(half));
    }
    if (f->relu)
        v = _mm256_max_ps(_mm256_setzero_ps(), v); /* of a NaN and a number, the second */
    if (f->y_float) {
        f32_store((float *)f->y + at, channels, v);
        return;
    }
    half = bf16_round(v);
    memcpy((uint16_t *)f->y + at, &half, bytes);
}

/* A lanes_copy_function. */
lanes_copy_function avx2_copy_bf16;

#endif
