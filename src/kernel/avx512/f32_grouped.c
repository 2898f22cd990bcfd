#include "kernel/avx512/avx512.h"
#include "kernel/avx512/f32.h"
#include "kernel/avx512/grouped.h"

static void run_14(const struct grouped_run *r)
{
    grouped_pixels(r, 14, PRECISION_F32, f32_multiply_add, f32_finish);
}

static void run_8(const struct grouped_run *r)
{
    grouped_pixels(r, 8, PRECISION_F32, f32_multiply_add, f32_finish);
}

static void run_7(const struct grouped_run *r)
{
    grouped_pixels(r, 7, PRECISION_F32, f32_multiply_add, f32_finish);
}

static void run_4(const struct grouped_run *r)
{
    grouped_pixels(r, 4, PRECISION_F32, f32_multiply_add, f32_finish);
}

static void run_2(const struct grouped_run *r)
{
    grouped_pixels(r, 2, PRECISION_F32, f32_multiply_add, f32_finish);
}

static void run_1(const struct grouped_run *r)
{
    grouped_pixels(r, 1, PRECISION_F32, f32_multiply_add, f32_finish);
}

static const struct grouped_kernel kernel = {
    .format = {PRECISION_F32, 4, LANES, avx512_copy},
    .runs = {{14, run_14}, {8, run_8}, {7, run_7}, {4, run_4}, {2, run_2}, {1, run_1}},
};

const struct conv_kernel f32_grouped__avx512 = {
    .name = "f32_grouped__avx512",
    .isa = "avx512",
    .precision = PRECISION_F32,
    .own = &kernel,
    GROUPED_FUNCTIONS,
};
