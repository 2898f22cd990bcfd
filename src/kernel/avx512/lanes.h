/* Vectors of 512 bits for kernel/lanes.h: 16 lanes. */
#ifndef RESNEXT_KERNEL_AVX512_LANES_H
#define RESNEXT_KERNEL_AVX512_LANES_H

#include <immintrin.h>

#include "kernel/lanes.h"

enum { LANES = 16, LANES_BYTES = 64 };

/* sum + x * w, in every lane. */
typedef __m512i (*lanes_multiply_add)(__m512i sum, __m512i x, __m512i w);

/* Writes the outputs of the lanes in `mask` to elements `at`.. of y. */
typedef void (*lanes_finish_function)(const struct lanes_finish *f, size_t at, __mmask16 mask,
                                      __m512i sum);

/* The first `channels` lanes; none if it is negative. */
LANES_INLINE __mmask16 lanes_mask(int channels)
{
    return (__mmask16)(channels >= LANES ? 0xffff : channels <= 0 ? 0 : (1 << channels) - 1);
}

/* A lanes_copy_function, for elements that stay as they are. */
lanes_copy_function avx512_copy;

#endif
