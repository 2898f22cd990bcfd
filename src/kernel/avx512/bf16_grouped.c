#include "kernel/avx512/avx512.h"
#include "kernel/avx512/bf16.h"
#include "kernel/avx512/grouped.h"

static void run_14(const struct grouped_run *r)
{
    grouped_pixels(r, 14, PRECISION_BF16, bf16_multiply_add, bf16_finish);
}

static void run_8(const struct grouped_run *r)
{
    grouped_pixels(r, 8, PRECISION_BF16, bf16_multiply_add, bf16_finish);
}

static void run_7(const struct grouped_run *r)
{
    grouped_pixels(r, 7, PRECISION_BF16, bf16_multiply_add, bf16_finish);
}

static void run_4(const struct grouped_run *r)
{
    grouped_pixels(r, 4, PRECISION_BF16, bf16_multiply_add, bf16_finish);
}

static void run_2(const struct grouped_run *r)
{
    grouped_pixels(r, 2, PRECISION_BF16, bf16_multiply_add, bf16_finish);
}

static void run_1(const struct grouped_run *r)
{
    grouped_pixels(r, 1, PRECISION_BF16, bf16_multiply_add, bf16_finish);
}

static const struct grouped_kernel kernel = {
    .format = {PRECISION_BF16, 2, LANES, avx512_copy},
    .runs = {{14, run_14}, {8, run_8}, {7, run_7}, {4, run_4}, {2, run_2}, {1, run_1}},
};

const struct conv_kernel bf16_grouped__avx512_bf16 = {
    .name = "bf16_grouped__avx512_bf16",
    .isa = "avx512_bf16",
    .precision = PRECISION_BF16,
    .own = &kernel,
    GROUPED_FUNCTIONS,
};
