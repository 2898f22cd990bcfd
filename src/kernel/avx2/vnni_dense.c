#include "kernel/avx2/avx2.h"
#include "kernel/avx2/dense.h"
#include "kernel/avx2/vnni.h"

static void block_6(const struct dense_block *b)
{
    dense_pixels(b, 6, vnni_multiply_add, int8_finish);
}

static void block_4(const struct dense_block *b)
{
    dense_pixels(b, 4, vnni_multiply_add, int8_finish);
}

static void block_3(const struct dense_block *b)
{
    dense_pixels(b, 3, vnni_multiply_add, int8_finish);
}

static void block_2(const struct dense_block *b)
{
    dense_pixels(b, 2, vnni_multiply_add, int8_finish);
}

static void block_1(const struct dense_block *b)
{
    dense_pixels(b, 1, vnni_multiply_add, int8_finish);
}

static const struct dense_kernel kernel = {
    .format = {PRECISION_INT8, 1, LANES, avx2_copy},
    .panel = DENSE_PANEL,
    .cached = DENSE_CACHED,
    .least = 3,
    .blocks = {{6, block_6}, {4, block_4}, {3, block_3}, {2, block_2}, {1, block_1}},
};

const struct conv_kernel int8_dense__avx_vnni = {
    .name = "int8_dense__avx_vnni",
    .isa = "avx_vnni",
    .precision = PRECISION_INT8,
    .own = &kernel,
    DENSE_FUNCTIONS,
};
