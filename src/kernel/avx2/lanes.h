/* Vectors of 256 bits for kernel/lanes.h: 8 lanes. */
#ifndef RESNEXT_KERNEL_AVX2_LANES_H
#define RESNEXT_KERNEL_AVX2_LANES_H

#include <immintrin.h>

#include "kernel/lanes.h"

enum { LANES = 8, LANES_BYTES = 32 };

/* sum + x * w, in every lane. */
typedef __m256i (*lanes_multiply_add)(__m256i sum, __m256i x, __m256i w);

/* Writes `channels` (at least 1, at most 8) outputs to elements `at`.. of y. */
typedef void (*lanes_finish_function)(const struct lanes_finish *f, size_t at, int channels,
                                      __m256i sum);

/* `f`, of which the compiler knows what it has: so a loop of finish() has no branches. */
LANES_INLINE struct lanes_finish lanes_finish_known(const struct lanes_finish *f, bool residual,
                                                    bool relu)
{
    struct lanes_finish known = *f;
    if (residual != (known.residual != NULL))
        __builtin_unreachable();
    known.relu = relu;
    return known;
}

/* The first `channels` lanes, for masked stores. */
LANES_INLINE __m256i lanes_mask(int channels)
{
    const __m256i order = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(channels), order);
}

/* A lanes_copy_function, for elements that stay as they are. */
lanes_copy_function avx2_copy;

#endif
