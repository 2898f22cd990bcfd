#include "kernel/avx2/avx2.h"
#include "kernel/avx2/dense.h"
#include "kernel/avx2/widen.h"

static void block_6(const struct dense_block *b)
{
    __m256i low[DENSE_PIXELS], high[DENSE_PIXELS];
    DENSE_LARGE(b, WIDENED_ADD, low, high);
    dense_finish(b, DENSE_PIXELS, int8_finish, low, high);
}

static void block_4(const struct dense_block *b)
{
    dense_pixels(b, 4, widened_multiply_add, int8_finish);
}

static void block_3(const struct dense_block *b)
{
    dense_pixels(b, 3, widened_multiply_add, int8_finish);
}

static void block_2(const struct dense_block *b)
{
    dense_pixels(b, 2, widened_multiply_add, int8_finish);
}

static void block_1(const struct dense_block *b)
{
    dense_pixels(b, 1, widened_multiply_add, int8_finish);
}

static const struct dense_kernel kernel = {
    .format = {PRECISION_INT8, 2, LANES, avx2_copy_widened},
    .panel = DENSE_PANEL,
    .cached = DENSE_CACHED,
    .blocks = {{6, block_6}, {4, block_4}, {3, block_3}, {2, block_2}, {1, block_1}},
};

const struct conv_kernel int8_dense__avx2 = {
    .name = "int8_dense__avx2",
    .isa = "avx2",
    .precision = PRECISION_INT8,
    .own = &kernel,
    DENSE_FUNCTIONS,
};
