/* float32 for lanes.h. */
#ifndef RESNEXT_KERNEL_AVX2_F32_H
#define RESNEXT_KERNEL_AVX2_F32_H

#include "kernel/avx2/lanes.h"

/* In assembly, because gcc moves the sums of an intrinsic about and out of the registers. */
LANES_INLINE __m256i f32_multiply_add(__m256i sum, __m256i x, __m256i w)
{
    __asm__("vfmadd231ps %2, %1, %0" : "+x"(sum) : "x"(x), "x"(w));
    return sum;
}

/* The same for DENSE_LARGE. */
#define F32_ADD(weights, sum) "vfmadd231ps " weights ", %%ymm15, " sum "\n\t"

/* A grouped_add. */
LANES_INLINE __m256i f32_add(__m256i a, __m256i b)
{
    return _mm256_castps_si256(_mm256_add_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b)));
}

/* A grouped_permute: dwords do not leave their half of the vector, since with 8 lanes and an input
 * a dword several groups are in one vector only if they have 4 channels or fewer. */
LANES_INLINE __m256i f32_permute(const unsigned char *x, __m256i lanes)
{
    return _mm256_castps_si256(_mm256_permutevar_ps(_mm256_loadu_ps((const float *)x), lanes));
}

/* The first `channels`; not by a masked load, of which emulators read everything. */
LANES_INLINE __m256 f32_load(const float *x, int channels)
{
    __m256 v = _mm256_setzero_ps();
    if (channels >= LANES)
        return _mm256_loadu_ps(x);
    memcpy(&v, x, (size_t)channels * sizeof *x);
    return v;
}

LANES_INLINE void f32_store(float *y, int channels, __m256 v)
{
    if (channels >= LANES)
        _mm256_storeu_ps(y, v);
    else
        _mm256_maskstore_ps(y, lanes_mask(channels), v);
}

LANES_INLINE void f32_finish(const struct lanes_finish *f, size_t at, int channels, __m256i sum)
{
    __m256 v = _mm256_add_ps(_mm256_castsi256_ps(sum), _mm256_loadu_ps(f->factors));
    if (f->residual)
        v = _mm256_add_ps(v, f32_load((const float *)f->residual + at, channels));
    if (f->relu)
        v = _mm256_max_ps(_mm256_setzero_ps(), v); /* of a NaN and a number, the second */
    f32_store((float *)f->y + at, channels, v);
}

#endif
