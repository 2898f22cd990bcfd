/* Blocks of kernel/dense.h on 256-bit vectors: 6 pixels x 16 channels, and less. */
#ifndef RESNEXT_KERNEL_AVX2_DENSE_H
#define RESNEXT_KERNEL_AVX2_DENSE_H

#include "kernel/avx2/lanes.h"
#include "kernel/dense.h"

enum {
    DENSE_PIXELS = 6, /* 12 sums, two weights, an input and a product: all 16 registers */
    DENSE_PANEL = 2 * LANES,
    DENSE_AHEAD = 512, /* bytes of weights fetched before they are used */
};

/* A block function, for constant arguments but the first. */
LANES_INLINE void dense_pixels(const struct dense_block *b, int pixels,
                               lanes_multiply_add multiply_add)
{
    const unsigned char *x = b->x, *w = b->weights;
    size_t row = b->row;
    __m256i low[DENSE_PIXELS], high[DENSE_PIXELS];
#pragma GCC unroll 6
    for (int m = 0; m < pixels; m++)
        low[m] = high[m] = _mm256_setzero_si256();
    for (size_t line = 0; line < b->lines; line++, x += b->line - b->dwords * 4)
        for (size_t d = 0; d < b->dwords; d++, x += 4, w += 2 * LANES_BYTES) {
            __m256i w0 = _mm256_load_si256((const __m256i *)w);
            __m256i w1 = _mm256_load_si256((const __m256i *)(w + LANES_BYTES));
            _mm_prefetch((const char *)w + DENSE_AHEAD, _MM_HINT_T0);
#pragma GCC unroll 6
            for (int m = 0; m < pixels; m++) {
                __m256i v = _mm256_set1_epi32(*(const lanes_dword *)(x + (size_t)m * row));
                low[m] = multiply_add(low[m], v, w0);
                high[m] = multiply_add(high[m], v, w1);
            }
        }
    struct lanes_finish second = b->finish;
    second.factors += LANES;
#pragma GCC unroll 6
    for (int m = 0; m < pixels; m++) {
        size_t at = b->at + (size_t)m * b->out_c;
        lanes_finish_int8(&b->finish, at, b->channels, low[m]);
        if (b->channels > LANES)
            lanes_finish_int8(&second, at + LANES, b->channels - LANES, high[m]);
    }
}

#endif
