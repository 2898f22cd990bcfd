/* float32, also for bfloat16, which is widened to it; int8 as products of bytes widened to 16 bits,
 * and for 1x1 kernels as products of bytes; OpenBLAS's planes. */
#define LEAF_ISA avx2

#include "kernel/isa/avx2.h"
#include "kernel/isa/avx2_dense.h"
#include "kernel/isa/copy.h"
#include "kernel/isa/grouped.h"

/* In assembly, because with the intrinsic gcc moves and spills accumulators. */
LANES_INLINE vec float_multiply_add(vec sum, vec x, vec w)
{
    __asm__("vfmadd231ps %[w], %[x], %[sum]" : [sum] "+x"(sum) : [x] "x"(x), [w] "x"(w));
    return sum;
}

LANES_INLINE vec float_add(vec a, vec b)
{
    return (vec)((vecf)a + (vecf)b);
}

#define FLOAT_ADD(weights, sum) "vfmadd231ps " weights ", %%ymm15, " sum "\n\t"
DENSE_LARGE_FUNCTION(f32_dense, PRECISION_F32, FLOAT_ADD)
DENSE_KERNEL(f32_dense, PRECISION_F32, 4, copy, float_multiply_add);
DENSE_LARGE_FUNCTION(bf16_dense, PRECISION_BF16, FLOAT_ADD)
DENSE_KERNEL(bf16_dense, PRECISION_BF16, 4, bf16_copy_widened, float_multiply_add);
GROUPED_KERNEL(bf16_grouped, PRECISION_BF16, 4, bf16_copy_widened, float_multiply_add, float_add,
               GROUPED_CHAINS, GROUPED_CHAINED);

/* (vpmaddubsw, which multiplies bytes, saturates: 255 * 127 * 2 > 32767. For 1x1 kernels see
 * below.) */
LANES_INLINE vec widened_multiply_add(vec sum, vec x, vec w)
{
    vec product;
    __asm__("vpmaddwd %[w], %[x], %[product]\n\tvpaddd %[product], %[sum], %[sum]"
            : [sum] "+x"(sum), [product] "=&x"(product)
            : [x] "x"(x), [w] "x"(w));
    return sum;
}

#define WIDENED_ADD(weights, sum)                                                                  \
    "vpmaddwd " weights ", %%ymm15, %%ymm12\n\tvpaddd %%ymm12, " sum ", " sum "\n\t"
DENSE_LARGE_FUNCTION(int8_dense, PRECISION_INT8, WIDENED_ADD)
DENSE_KERNEL(int8_dense, PRECISION_INT8, 2, int8_copy_widened, widened_multiply_add);
GROUPED_KERNEL(int8_grouped, PRECISION_INT8, 2, int8_copy_widened, widened_multiply_add, NULL,
               GROUPED_SIZES, 0);

/* The products of 8 input channels of a pixel: dwords 0 and 1 with their vectors of weights. */
LANES_INLINE vec quad_products(const unsigned char *x, vec w0, vec w1)
{
    __m256i first = _mm256_maddubs_epi16((__m256i)vec_broadcast(x), (__m256i)w0);
    __m256i second = _mm256_maddubs_epi16((__m256i)vec_broadcast(x + 4), (__m256i)w1);
    return (vec)_mm256_madd_epi16(_mm256_add_epi16(first, second), _mm256_set1_epi16(1));
}

/* The micro-kernel of 1x1 kernels. A dword is four bytes; the products of two dwords are added up
 * in 16 bits, where small weights leave space for them (struct conv_weights), and then widened. 4
 * pixels at most, since the weights of two dwords take 4 registers. */
LANES_INLINE void quad_pixels(const struct dense_block *b, int pixels)
{
    const unsigned char *x = b->x;
    const vec *w = (const vec *)b->weights;
    dense_sums sums;
#pragma GCC unroll 4
    for (int m = 0; m < pixels; m++)
        sums[m][0] = sums[m][1] = (vec){0};
    for (size_t d = 0; d < b->dwords; d += 2, x += 8, w += 4) {
        vec w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3];
        __builtin_prefetch((const char *)w + DENSE_AHEAD);
        __builtin_prefetch((const char *)w + DENSE_AHEAD + 2 * LANES_BYTES);
#pragma GCC unroll 4
        for (int m = 0; m < pixels; m++) {
            const unsigned char *pixel = x + (size_t)m * b->row;
            sums[m][0] += quad_products(pixel, w0, w2);
            sums[m][1] += quad_products(pixel, w1, w3);
        }
    }
    dense_epilogue(b, pixels, PRECISION_INT8, sums);
}

#define QUAD_FUNCTION(pixels, id)                                                                  \
    static void LEAF_TILE(id, pixels, 2)(const struct dense_block *b)                              \
    {                                                                                              \
        quad_pixels(b, pixels);                                                                    \
    }
DENSE_SIZES(QUAD_FUNCTION, int8_pointwise)

static bool quad_supports(const struct conv_shape *s)
{
    return s->groups == 1 && s->kernel == 1 && s->in_c % 8 == 0 && s->shortcut_c % 8 == 0;
}

static const struct dense_kernel int8_pointwise = {
    .format = {PRECISION_INT8, 1, LANES, LEAF_NAME(copy)},
    .panel = 2 * LANES,
    .cached = DENSE_CACHED,
    .blocks = {DENSE_SIZES(DENSE_ENTRY, int8_pointwise)},
};
LEAF_KERNEL(int8_pointwise, PRECISION_INT8, quad_supports, &dense_method, &int8_pointwise);

LANES_INLINE vecf transpose_load(const float *const rows[LANES], size_t column)
{
    __m256 low = _mm256_castps128_ps256(_mm_loadu_ps(rows[0] + column));
    return _mm256_insertf128_ps(low, _mm_loadu_ps(rows[4] + column), 1);
}

LANES_INLINE void transpose_4x4(vecf v[4])
{
    __m256 ab_low = _mm256_unpacklo_ps(v[0], v[1]), ab_high = _mm256_unpackhi_ps(v[0], v[1]);
    __m256 cd_low = _mm256_unpacklo_ps(v[2], v[3]), cd_high = _mm256_unpackhi_ps(v[2], v[3]);
    v[0] = (vecf)_mm256_unpacklo_pd((__m256d)ab_low, (__m256d)cd_low);
    v[1] = (vecf)_mm256_unpackhi_pd((__m256d)ab_low, (__m256d)cd_low);
    v[2] = (vecf)_mm256_unpacklo_pd((__m256d)ab_high, (__m256d)cd_high);
    v[3] = (vecf)_mm256_unpackhi_pd((__m256d)ab_high, (__m256d)cd_high);
}

#include "kernel/openblas/leaf.h"
BLAS_GROUPED_KERNEL;
