/* bfloat16: a dword is two inputs beside two weights. */
#include "kernel/isa/avx512.h"
#include "kernel/isa/avx512_dense.h"
#include "kernel/isa/grouped.h"

LANES_INLINE vec multiply_add(vec sum, vec x, vec w)
{
    return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)w);
}

/* The inputs of 16 channels, over and over, permuted. */
LANES_INLINE vec permute(const unsigned char *x, vec lanes)
{
    __m512i all = _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)x));
    return (vec)_mm512_permutexvar_epi32((__m512i)lanes, all);
}

DENSE_LARGE_FUNCTION(large, PRECISION_BF16, "vdpbf16ps")
DENSE_KERNEL(bf16, dense, avx512_bf16, PRECISION_BF16, 2, lanes_copy, multiply_add,
             DENSE_LARGE_PIXELS, large);
GROUPED_KERNEL(bf16, avx512_bf16, PRECISION_BF16, 2, lanes_copy, permute, multiply_add, NULL,
               GROUPED_SIZES, 0);
