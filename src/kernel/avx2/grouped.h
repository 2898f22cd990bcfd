/* Runs of pixels of kernel/grouped.h on 256-bit vectors. */
#ifndef RESNEXT_KERNEL_AVX2_GROUPED_H
#define RESNEXT_KERNEL_AVX2_GROUPED_H

#include "kernel/avx2/lanes.h"
#include "kernel/grouped.h"

enum {
    GROUPED_PIXELS = 8, /* sums; three weights, an input, its permutation, a product */
    GROUPED_HALF = 4,
};

/* The sum of two sums. */
typedef __m256i (*grouped_add)(__m256i a, __m256i b);

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
    for (int p = 0; p < pixels; p++, at += out_c) {
        __asm__("" : "+r"(at)); /* or all addresses are computed first, and kept on the stack */
        finish(&f, at, channels, sums[p]);
    }
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

LANES_INLINE void add_product(__m256i *sum, __m256i v, __m256i w, lanes_multiply_add multiply_add)
{
    *sum = multiply_add(*sum, v, w);
}

/* One way of grouped_pixels. */
LANES_INLINE void grouped_way(const struct grouped_run *r, int pixels, int stride, bool permuted,
                              grouped_permute permute, lanes_multiply_add multiply_add,
                              grouped_add add, lanes_finish_function finish)
{
    const unsigned char *w = r->weights;
    size_t step = r->pixel * 4;
    const int chains = pixels > GROUPED_HALF || !add ? 1 : permuted ? 2 : GROUPED_TAPS;
    __m256i sums[GROUPED_TAPS][GROUPED_PIXELS]; /* those of a pixel are added in the end */
#pragma GCC unroll 3
    for (int c = 0; c < chains; c++)
#pragma GCC unroll 8
        for (int p = 0; p < pixels; p++)
            sums[c][p] = _mm256_setzero_si256();
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
                    add_product(&sums[0][i / stride], v, w0, multiply_add);
                if (i >= 1 && (i - 1) % stride == 0 && (i - 1) / stride < pixels)
                    add_product(&sums[1 % chains][(i - 1) / stride], v, w1, multiply_add);
                if (i >= 2 && (i - 2) % stride == 0)
                    add_product(&sums[2 % chains][(i - 2) / stride], v, w2, multiply_add);
            }
        }
    }
#pragma GCC unroll 3
    for (int c = 1; c < chains; c++)
#pragma GCC unroll 8
        for (int p = 0; p < pixels; p++)
            sums[0][p] = add(sums[0][p], sums[c][p]);
    grouped_finish(r, pixels, finish, sums[0]);
}

/* A run function, for constant arguments but the first. `add` is not NULL if a product waits for
 * the sum that it is added to: then a pixel's three of a dword have sums of their own where there
 * are registers, and GROUPED_HALF pixels go by faster than more of them. */
LANES_INLINE void grouped_pixels(const struct grouped_run *r, int pixels, grouped_permute permute,
                                 lanes_multiply_add multiply_add, grouped_add add,
                                 lanes_finish_function finish)
{
    if (r->permute && r->stride == 1)
        grouped_way(r, pixels, 1, true, permute, multiply_add, add, finish);
    else if (r->permute)
        grouped_way(r, pixels, 2, true, permute, multiply_add, add, finish);
    else if (r->stride == 1)
        grouped_way(r, pixels, 1, false, permute, multiply_add, add, finish);
    else
        grouped_way(r, pixels, 2, false, permute, multiply_add, add, finish);
}

#endif
