/* 1x1 convolutions in int8 with AVX2 alone: a dword is four bytes beside four weights, and two
 * dwords' products are added up in 16 bits, which the weights leave room for (struct conv_weights),
 * before they are widened. Blocks of 4 pixels, since the weights of two dwords take 4 registers. */
#include "kernel/avx2/avx2.h"
#include "kernel/avx2/dense.h"
#include "kernel/avx2/int8.h"

/* 8 input channels of a pixel times a vector's weights, those of each dword. */
LANES_INLINE __m256i products(const unsigned char *x, __m256i w0, __m256i w1)
{
    const lanes_dword *dwords = (const lanes_dword *)x;
    __m256i first = _mm256_maddubs_epi16(_mm256_set1_epi32(dwords[0]), w0);
    __m256i second = _mm256_maddubs_epi16(_mm256_set1_epi32(dwords[1]), w1);
    return _mm256_madd_epi16(_mm256_add_epi16(first, second), _mm256_set1_epi16(1));
}

/* A block function, for a constant number of pixels. */
LANES_INLINE void pixels(const struct dense_block *b, int count)
{
    const unsigned char *x = b->x;
    const __m256i *w = (const __m256i *)b->weights;
    __m256i low[DENSE_PIXELS], high[DENSE_PIXELS];
#pragma GCC unroll 4
    for (int m = 0; m < count; m++)
        low[m] = high[m] = _mm256_setzero_si256();
    for (size_t d = 0; d < b->dwords; d += 2, x += 8, w += 4) {
        __m256i w0 = _mm256_load_si256(w), w1 = _mm256_load_si256(w + 1);
        __m256i w2 = _mm256_load_si256(w + 2), w3 = _mm256_load_si256(w + 3);
        _mm_prefetch((const char *)w + DENSE_AHEAD, _MM_HINT_T0);
        _mm_prefetch((const char *)w + DENSE_AHEAD + 2 * LANES_BYTES, _MM_HINT_T0);
#pragma GCC unroll 4
        for (int m = 0; m < count; m++) {
            const unsigned char *pixel = x + (size_t)m * b->row;
            low[m] = _mm256_add_epi32(low[m], products(pixel, w0, w2));
            high[m] = _mm256_add_epi32(high[m], products(pixel, w1, w3));
        }
    }
    dense_finish(b, count, int8_finish, low, high);
}

static void block_4(const struct dense_block *b)
{
    pixels(b, 4);
}

static void block_3(const struct dense_block *b)
{
    pixels(b, 3);
}

static void block_2(const struct dense_block *b)
{
    pixels(b, 2);
}

static void block_1(const struct dense_block *b)
{
    pixels(b, 1);
}

static bool supports(const struct conv_shape *s)
{
    return s->groups == 1 && s->kernel == 1 && s->in_c % 8 == 0;
}

static const struct dense_kernel kernel = {
    .format = {PRECISION_INT8, 1, LANES, avx2_copy},
    .panel = DENSE_PANEL,
    .cached = DENSE_CACHED,
    .blocks = {{4, block_4}, {3, block_3}, {2, block_2}, {1, block_1}},
};

const struct conv_kernel int8_pointwise__avx2 = {
    .name = "int8_pointwise__avx2",
    .isa = "avx2",
    .precision = PRECISION_INT8,
    .own = &kernel,
    .supports = supports,
    DENSE_WORK,
};
