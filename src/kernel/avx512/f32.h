/* float32 for lanes.h. */
#ifndef RESNEXT_KERNEL_AVX512_F32_H
#define RESNEXT_KERNEL_AVX512_F32_H

#include "kernel/avx512/lanes.h"

LANES_INLINE __m512i f32_multiply_add(__m512i sum, __m512i x, __m512i w)
{
    return _mm512_castps_si512(
        _mm512_fmadd_ps(_mm512_castsi512_ps(x), _mm512_castsi512_ps(w), _mm512_castsi512_ps(sum)));
}

LANES_INLINE void f32_finish(const struct lanes_finish *f, size_t at, __mmask16 mask, __m512i sum)
{
    __m512 v = _mm512_add_ps(_mm512_castsi512_ps(sum), _mm512_loadu_ps(f->factors));
    if (f->residual)
        v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, (const float *)f->residual + at));
    if (f->relu)
        v = _mm512_max_ps(_mm512_setzero_ps(), v); /* of a NaN and a number, the second */
    _mm512_mask_storeu_ps((float *)f->y + at, mask, v);
}

#endif
