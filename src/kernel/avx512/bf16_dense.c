#include "kernel/avx512/avx512.h"
#include "kernel/avx512/bf16.h"
#include "kernel/avx512/dense.h"

static void block_14(const struct dense_block *b)
{
    dense_sums sums;
    dense_fetch_outputs(b, 2);
    DENSE_LARGE(b, "vdpbf16ps", sums);
    dense_finish(b, DENSE_PIXELS, bf16_finish, sums);
}

static void block_7(const struct dense_block *b)
{
    dense_small(b, 7, bf16_multiply_add, bf16_finish);
}

static void block_4(const struct dense_block *b)
{
    dense_small(b, 4, bf16_multiply_add, bf16_finish);
}

static void block_2(const struct dense_block *b)
{
    dense_small(b, 2, bf16_multiply_add, bf16_finish);
}

static void block_1(const struct dense_block *b)
{
    dense_small(b, 1, bf16_multiply_add, bf16_finish);
}

static const struct dense_kernel kernel = {
    .format = {PRECISION_BF16, 2, LANES, avx512_copy},
    .panel = DENSE_PANEL,
    .cached = DENSE_CACHED,
    .blocks = {{14, block_14}, {7, block_7}, {4, block_4}, {2, block_2}, {1, block_1}},
};

const struct conv_kernel bf16_dense__avx512_bf16 = {
    .name = "bf16_dense__avx512_bf16",
    .isa = "avx512_bf16",
    .precision = PRECISION_BF16,
    .own = &kernel,
    DENSE_FUNCTIONS,
};
