/* Runs of pixels of kernel/grouped.h on 256-bit vectors. */
#ifndef RESNEXT_KERNEL_AVX2_GROUPED_H
#define RESNEXT_KERNEL_AVX2_GROUPED_H

#include "kernel/avx2/lanes.h"
#include "kernel/grouped.h"

enum { GROUPED_PIXELS = 8 }; /* sums; three weights, an input, its permutation, a product */

/* Dword lanes[i] of 8 at x, in every lane i. */
typedef __m256i (*grouped_permute)(const unsigned char *x, __m256i lanes);

LANES_INLINE __m256i grouped_permute_any(const unsigned char *x, __m256i lanes)
{
    return _mm256_permutevar8x32_epi32(_mm256_loadu_si256((const __m256i *)x), lanes);
}

LANES_INLINE void grouped_finish_lanes(const struct grouped_run *r, struct lanes_finish f,
                                       int pixels, int channels, lanes_finish_function finish,
                                       const __m256i sums[GROUPED_PIXELS])
{
    size_t at = r->at, out_c = r->out_c;
#pragma GCC unroll 8
    for (int p = 0; p < pixels; p++, at += out_c)
        finish(&f, at, channels, sums[p]);
}

/* Most vectors are full, have ReLU and no residual. */
LANES_INLINE void grouped_finish(const struct grouped_run *r, int pixels,
                                 lanes_finish_function finish, const __m256i sums[GROUPED_PIXELS])
{
    const struct lanes_finish *f = &r->finish;
    if (r->channels == LANES && f->relu && !f->residual)
        grouped_finish_lanes(r, lanes_finish_known(f, false, true), pixels, LANES, finish, sums);
    else
        grouped_finish_lanes(r, *f, pixels, r->channels, finish, sums);
}

/* One way of grouped_pixels. */
LANES_INLINE void grouped_way(const struct grouped_run *r, int pixels, int stride, bool permuted,
                              grouped_permute permute, lanes_multiply_add multiply_add,
                              lanes_finish_function finish)
{
    const unsigned char *w = r->weights;
    size_t step = r->pixel * 4;
    __m256i sums[GROUPED_PIXELS];
#pragma GCC unroll 8
    for (int p = 0; p < pixels; p++)
        sums[p] = _mm256_setzero_si256();
    for (size_t ky = 0; ky < GROUPED_TAPS; ky++) {
        const unsigned char *row = r->slab + ky * r->slab_row;
        for (size_t d = 0; d < r->dwords; d++, w += GROUPED_TAPS * LANES_BYTES) {
            const __m256i *weights = (const __m256i *)w;
            __m256i w0 = _mm256_load_si256(weights), w1 = _mm256_load_si256(weights + 1);
            __m256i w2 = _mm256_load_si256(weights + 2);
            __m256i lanes = _mm256_setzero_si256();
            if (permuted)
                lanes = _mm256_load_si256((const __m256i *)(r->permute + d * LANES));
            const unsigned char *x = row + (permuted ? 0 : d * 4);
            __asm__("" : "+r"(x)); /* or all inputs are kept on the stack for the next d */
#pragma GCC unroll 17
            for (int i = 0; i < (pixels - 1) * stride + GROUPED_TAPS; i++, x += step) {
                __m256i v = permuted ? permute(x, lanes)
                                     : _mm256_set1_epi32(*(const lanes_dword *)x);
                if (i % stride == 0 && i / stride < pixels)
                    sums[i / stride] = multiply_add(sums[i / stride], v, w0);
                if (i >= 1 && (i - 1) % stride == 0 && (i - 1) / stride < pixels)
                    sums[(i - 1) / stride] = multiply_add(sums[(i - 1) / stride], v, w1);
                if (i >= 2 && (i - 2) % stride == 0)
                    sums[(i - 2) / stride] = multiply_add(sums[(i - 2) / stride], v, w2);
            }
        }
    }
    grouped_finish(r, pixels, finish, sums);
}

/* A run function, for constant arguments but the first. */
LANES_INLINE void grouped_pixels(const struct grouped_run *r, int pixels, grouped_permute permute,
                                 lanes_multiply_add multiply_add, lanes_finish_function finish)
{
    if (r->permute && r->stride == 1)
        grouped_way(r, pixels, 1, true, permute, multiply_add, finish);
    else if (r->permute)
        grouped_way(r, pixels, 2, true, permute, multiply_add, finish);
    else if (r->stride == 1)
        grouped_way(r, pixels, 1, false, permute, multiply_add, finish);
    else
        grouped_way(r, pixels, 2, false, permute, multiply_add, finish);
}

#endif
