#include "kernel/avx512/avx512.h"
#include "kernel/avx512/dense.h"
#include "kernel/avx512/int8.h"

static void block_14(const struct dense_block *b)
{
    dense_sums sums;
    dense_fetch_outputs(b, 1);
    DENSE_LARGE(b, "vpdpbusd", sums);
    dense_finish(b, DENSE_PIXELS, int8_finish, sums);
}

static void block_7(const struct dense_block *b)
{
    dense_small(b, 7, int8_multiply_add, int8_finish);
}

static void block_4(const struct dense_block *b)
{
    dense_small(b, 4, int8_multiply_add, int8_finish);
}

static void block_2(const struct dense_block *b)
{
    dense_small(b, 2, int8_multiply_add, int8_finish);
}

static void block_1(const struct dense_block *b)
{
    dense_small(b, 1, int8_multiply_add, int8_finish);
}

static const struct dense_kernel kernel = {
    .format = {PRECISION_INT8, 1, LANES, avx512_copy},
    .panel = DENSE_PANEL,
    .cached = DENSE_CACHED,
    .blocks = {{14, block_14}, {7, block_7}, {4, block_4}, {2, block_2}, {1, block_1}},
};

const struct conv_kernel int8_dense__avx512_vnni = {
    .name = "int8_dense__avx512_vnni",
    .isa = "avx512_vnni",
    .precision = PRECISION_INT8,
    .own = &kernel,
    DENSE_FUNCTIONS,
};
