#include "kernel/avx2/avx2.h"
#include "kernel/avx2/bf16.h"
#include "kernel/avx2/dense.h"

static void block_6(const struct dense_block *b)
{
    __m256i low[DENSE_PIXELS], high[DENSE_PIXELS];
    DENSE_LARGE(b, F32_ADD, low, high);
    dense_finish(b, DENSE_PIXELS, bf16_finish, low, high);
}

static void block_4(const struct dense_block *b)
{
    dense_pixels(b, 4, f32_multiply_add, bf16_finish);
}

static void block_3(const struct dense_block *b)
{
    dense_pixels(b, 3, f32_multiply_add, bf16_finish);
}

static void block_2(const struct dense_block *b)
{
    dense_pixels(b, 2, f32_multiply_add, bf16_finish);
}

static void block_1(const struct dense_block *b)
{
    dense_pixels(b, 1, f32_multiply_add, bf16_finish);
}

static const struct dense_kernel kernel = {
    .format = {PRECISION_BF16, 4, LANES, avx2_copy_bf16},
    .panel = DENSE_PANEL,
    .cached = DENSE_CACHED,
    .least = 3,
    .blocks = {{6, block_6}, {4, block_4}, {3, block_3}, {2, block_2}, {1, block_1}},
};

const struct conv_kernel bf16_dense__avx2 = {
    .name = "bf16_dense__avx2",
    .isa = "avx2",
    .precision = PRECISION_BF16,
    .own = &kernel,
    DENSE_FUNCTIONS,
};
