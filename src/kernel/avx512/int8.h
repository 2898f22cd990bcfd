/* int8 for lanes.h. */
#ifndef RESNEXT_KERNEL_AVX512_INT8_H
#define RESNEXT_KERNEL_AVX512_INT8_H

#include "kernel/avx512/lanes.h"

LANES_INLINE __m512i int8_multiply_add(__m512i sum, __m512i x, __m512i w)
{
    return _mm512_dpbusd_epi32(sum, x, w);
}

/* requantize() in kernel/quantize.h, 16 times. */
LANES_INLINE void int8_finish(const struct lanes_finish *f, size_t at, __mmask16 mask, __m512i sum)
{
    const float *factors = f->factors;
    __m512 v = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(factors),
                               _mm512_loadu_ps(factors + f->factor_stride));
    if (f->y_float) {
        if (f->relu)
            v = _mm512_max_ps(v, _mm512_setzero_ps());
        _mm512_mask_storeu_ps((float *)f->y + at, mask, v);
        return;
    }
    if (f->residual) {
        __m128i r = _mm_maskz_loadu_epi8(mask, (const uint8_t *)f->residual + at);
        v = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(r)),
                            _mm512_loadu_ps(factors + 2 * f->factor_stride), v);
    }
    /* What is too large for an integer becomes 0x80000000, which as an unsigned one is clipped to
     * 255 like any other. */
    __m512i bytes = _mm512_cvtps_epi32(_mm512_max_ps(v, _mm512_setzero_ps()));
    __m128i packed = _mm512_cvtusepi32_epi8(bytes);
    if (mask == 0xffff)
        _mm_storeu_si128((__m128i *)(void *)((uint8_t *)f->y + at), packed);
    else
        _mm_mask_storeu_epi8((uint8_t *)f->y + at, mask, packed);
}

#endif
