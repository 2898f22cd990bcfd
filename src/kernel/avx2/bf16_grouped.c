#include "kernel/avx2/avx2.h"
#include "kernel/avx2/bf16.h"
#include "kernel/avx2/grouped.h"

static void run_8(const struct grouped_run *r)
{
    grouped_pixels(r, 8, f32_permute, f32_multiply_add, f32_add, bf16_finish);
}

static void run_4(const struct grouped_run *r)
{
    grouped_pixels(r, 4, f32_permute, f32_multiply_add, f32_add, bf16_finish);
}

static void run_3(const struct grouped_run *r)
{
    grouped_pixels(r, 3, f32_permute, f32_multiply_add, f32_add, bf16_finish);
}

static void run_2(const struct grouped_run *r)
{
    grouped_pixels(r, 2, f32_permute, f32_multiply_add, f32_add, bf16_finish);
}

static void run_1(const struct grouped_run *r)
{
    grouped_pixels(r, 1, f32_permute, f32_multiply_add, f32_add, bf16_finish);
}

static const struct grouped_kernel kernel = {
    .format = {PRECISION_BF16, 4, LANES, avx2_copy_bf16},
    .most_broadcast = GROUPED_HALF,
    .runs = {{8, run_8}, {4, run_4}, {3, run_3}, {2, run_2}, {1, run_1}},
};

const struct conv_kernel bf16_grouped__avx2 = {
    .name = "bf16_grouped__avx2",
    .isa = "avx2",
    .precision = PRECISION_BF16,
    .own = &kernel,
    GROUPED_FUNCTIONS,
};
