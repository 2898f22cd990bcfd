/* Runs of pixels of kernel/grouped.h on 512-bit vectors. */
#ifndef RESNEXT_KERNEL_AVX512_GROUPED_H
#define RESNEXT_KERNEL_AVX512_GROUPED_H

#include "kernel/avx512/lanes.h"
#include "kernel/grouped.h"

enum { GROUPED_PIXELS = 14 };

/* The inputs of 16 channels, over and over in all lanes. */
LANES_INLINE __m512i grouped_load(enum precision precision, const unsigned char *x)
{
    if (precision == PRECISION_INT8)
        return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)x));
    if (precision == PRECISION_BF16)
        return _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)x));
    return _mm512_loadu_si512(x);
}

LANES_INLINE void grouped_finish(const struct grouped_run *r, int pixels,
                                 lanes_finish_function finish, const __m512i sums[GROUPED_PIXELS],
                                 __mmask16 mask)
{
    struct lanes_finish f = r->finish;
    size_t at = r->at, out_c = r->out_c;
#pragma GCC unroll 14
    for (int p = 0; p < pixels; p++, at += out_c)
        finish(&f, at, mask, sums[p]);
}

/* One way of grouped_pixels. */
LANES_INLINE void grouped_way(const struct grouped_run *r, int pixels, int stride, bool permuted,
                              enum precision precision, lanes_multiply_add multiply_add,
                              lanes_finish_function finish)
{
    const unsigned char *w = r->weights;
    size_t step = r->pixel * 4;
    __m512i sums[GROUPED_PIXELS];
#pragma GCC unroll 14
    for (int p = 0; p < pixels; p++)
        sums[p] = _mm512_setzero_si512();
    for (size_t ky = 0; ky < GROUPED_TAPS; ky++) {
        const unsigned char *row = r->slab + ky * r->slab_row;
        for (size_t d = 0; d < r->dwords; d++, w += GROUPED_TAPS * LANES_BYTES) {
            __m512i w0 = _mm512_load_si512(w), w1 = _mm512_load_si512(w + LANES_BYTES);
            __m512i w2 = _mm512_load_si512(w + 2 * LANES_BYTES);
            __m512i lanes =
                permuted ? _mm512_load_si512(r->permute + d * LANES) : _mm512_setzero_si512();
            const unsigned char *x = row + (permuted ? 0 : d * 4);
            __asm__("" : "+r"(x)); /* or all inputs are kept on the stack for the next d */
#pragma GCC unroll 29
            for (int i = 0; i < (pixels - 1) * stride + GROUPED_TAPS; i++, x += step) {
                __m512i v = permuted ? _mm512_permutexvar_epi32(lanes, grouped_load(precision, x))
                                     : _mm512_set1_epi32(*(const lanes_dword *)x);
                if (i % stride == 0 && i / stride < pixels)
                    sums[i / stride] = multiply_add(sums[i / stride], v, w0);
                if (i >= 1 && (i - 1) % stride == 0 && (i - 1) / stride < pixels)
                    sums[(i - 1) / stride] = multiply_add(sums[(i - 1) / stride], v, w1);
                if (i >= 2 && (i - 2) % stride == 0)
                    sums[(i - 2) / stride] = multiply_add(sums[(i - 2) / stride], v, w2);
            }
        }
    }
    if (r->channels == LANES) /* stores without a mask are faster */
        grouped_finish(r, pixels, finish, sums, 0xffff);
    else
        grouped_finish(r, pixels, finish, sums, lanes_mask(r->channels));
}

/* A run function, for constant arguments but the first. */
LANES_INLINE void grouped_pixels(const struct grouped_run *r, int pixels, enum precision precision,
                                 lanes_multiply_add multiply_add, lanes_finish_function finish)
{
    if (r->permute && r->stride == 1)
        grouped_way(r, pixels, 1, true, precision, multiply_add, finish);
    else if (r->permute)
        grouped_way(r, pixels, 2, true, precision, multiply_add, finish);
    else if (r->stride == 1)
        grouped_way(r, pixels, 1, false, precision, multiply_add, finish);
    else
        grouped_way(r, pixels, 2, false, precision, multiply_add, finish);
}

#endif
