/* int8 with AVX2 alone: bytes are widened to 16 bits when they are gathered, a dword is two of them
 * beside two 16-bit weights. (vpmaddubsw, which takes bytes, saturates at 255 * 127 * 2; for 1x1
 * kernels see int8_pointwise.c.) */
#ifndef RESNEXT_KERNEL_AVX2_WIDEN_H
#define RESNEXT_KERNEL_AVX2_WIDEN_H

#include "kernel/avx2/int8.h"

/* In assembly, because gcc moves the sums of intrinsics about and out of the registers. */
LANES_INLINE __m256i widened_multiply_add(__m256i sum, __m256i x, __m256i w)
{
    __m256i product;
    __asm__("vpmaddwd %3, %2, %1\n\tvpaddd %1, %0, %0"
            : "+x"(sum), "=&x"(product)
            : "x"(x), "x"(w));
    return sum;
}

/* The same for DENSE_LARGE. */
#define WIDENED_ADD(weights, sum)                                                                  \
    "vpmaddwd " weights ", %%ymm15, %%ymm12\n\tvpaddd %%ymm12, " sum ", " sum "\n\t"

/* A grouped_permute: 8 channels, those of a vector, are 16 bytes, so no dword leaves them. */
LANES_INLINE __m256i widened_permute(const unsigned char *x, __m256i lanes)
{
    __m256i both = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)x));
    return _mm256_castps_si256(_mm256_permutevar_ps(_mm256_castsi256_ps(both), lanes));
}

/* A lanes_copy_function. */
lanes_copy_function avx2_copy_widened;

#endif
