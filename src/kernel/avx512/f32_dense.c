#include "kernel/avx512/avx512.h"
#include "kernel/avx512/dense.h"
#include "kernel/avx512/f32.h"

static void block_14(const struct dense_block *b)
{
    dense_sums sums;
    dense_fetch_outputs(b, 4);
    DENSE_LARGE(b, "vfmadd231ps", sums);
    dense_finish(b, DENSE_PIXELS, f32_finish, sums);
}

static void block_7(const struct dense_block *b)
{
    dense_small(b, 7, f32_multiply_add, f32_finish);
}

static void block_4(const struct dense_block *b)
{
    dense_small(b, 4, f32_multiply_add, f32_finish);
}

static void block_2(const struct dense_block *b)
{
    dense_small(b, 2, f32_multiply_add, f32_finish);
}

static void block_1(const struct dense_block *b)
{
    dense_small(b, 1, f32_multiply_add, f32_finish);
}

static const struct dense_kernel kernel = {
    .format = {PRECISION_F32, 4, LANES, avx512_copy},
    .panel = DENSE_PANEL,
    .cached = DENSE_CACHED,
    .blocks = {{14, block_14}, {7, block_7}, {4, block_4}, {2, block_2}, {1, block_1}},
};

const struct conv_kernel f32_dense__avx512 = {
    .name = "f32_dense__avx512",
    .isa = "avx512",
    .precision = PRECISION_F32,
    .own = &kernel,
    DENSE_FUNCTIONS,
};
