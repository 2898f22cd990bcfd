/* int8 with AVX_VNNI: a dword is four bytes beside four weights. */
#ifndef RESNEXT_KERNEL_AVX2_VNNI_H
#define RESNEXT_KERNEL_AVX2_VNNI_H

#include "kernel/avx2/int8.h"

/* Compiled for AVX512_VNNI and AVX512VL instead, it is the same instruction in another encoding:
 * so machines without AVX_VNNI can check everything else. */
#ifdef __AVXVNNI__
#define VNNI_ENCODING "%{vex%} "
#else
#define VNNI_ENCODING "%{evex%} "
#endif

/* In assembly, because gcc moves the sums of an intrinsic about and out of the registers. */
LANES_INLINE __m256i vnni_multiply_add(__m256i sum, __m256i x, __m256i w)
{
    __asm__(VNNI_ENCODING "vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(x), "x"(w));
    return sum;
}

#endif
