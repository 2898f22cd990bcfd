/* bfloat16 for lanes.h. */
#ifndef RESNEXT_KERNEL_AVX512_BF16_H
#define RESNEXT_KERNEL_AVX512_BF16_H

#include "kernel/avx512/lanes.h"

LANES_INLINE __m512i bf16_multiply_add(__m512i sum, __m512i x, __m512i w)
{
    return _mm512_castps_si512(
        _mm512_dpbf16_ps(_mm512_castsi512_ps(sum), (__m512bh)x, (__m512bh)w));
}

LANES_INLINE void bf16_finish(const struct lanes_finish *f, size_t at, __mmask16 mask, __m512i sum)
{
    __m512 v = _mm512_add_ps(_mm512_castsi512_ps(sum), _mm512_loadu_ps(f->factors));
    if (f->residual) {
        __m256i r = _mm256_maskz_loadu_epi16(mask, (const uint16_t *)f->residual + at);
        v = _mm512_add_ps(v, _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(r), 16)));
    }
    if (f->relu)
        v = _mm512_max_ps(_mm512_setzero_ps(), v); /* of a NaN and a number, the second */
    if (f->y_float)
        _mm512_mask_storeu_ps((float *)f->y + at, mask, v);
    else
        _mm256_mask_storeu_epi16((uint16_t *)f->y + at, mask, (__m256i)_mm512_cvtneps_pbh(v));
}

#endif
