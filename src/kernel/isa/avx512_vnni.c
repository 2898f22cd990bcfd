/* int8: a dword is four bytes beside four weights. */
#include "kernel/isa/avx512.h"
#include "kernel/isa/avx512_dense.h"
#include "kernel/isa/grouped.h"

LANES_INLINE vec multiply_add(vec sum, vec x, vec w)
{
    return (vec)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)x, (__m512i)w);
}

/* The inputs of 16 channels, over and over, permuted. */
LANES_INLINE vec permute(const unsigned char *x, vec lanes)
{
    __m512i all = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)x));
    return (vec)_mm512_permutexvar_epi32((__m512i)lanes, all);
}

DENSE_LARGE_FUNCTION(large, PRECISION_INT8, "vpdpbusd")
DENSE_KERNEL(int8, dense, avx512_vnni, PRECISION_INT8, 1, lanes_copy, multiply_add,
             DENSE_LARGE_PIXELS, large);
GROUPED_KERNEL(int8, avx512_vnni, PRECISION_INT8, 1, lanes_copy, permute, multiply_add, NULL,
               GROUPED_SIZES, 0);
