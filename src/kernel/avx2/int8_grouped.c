#include "kernel/avx2/avx2.h"
#include "kernel/avx2/grouped.h"
#include "kernel/avx2/widen.h"

static void run_8(const struct grouped_run *r)
{
    grouped_pixels(r, 8, widened_permute, widened_multiply_add, NULL, int8_finish);
}

static void run_7(const struct grouped_run *r)
{
    grouped_pixels(r, 7, widened_permute, widened_multiply_add, NULL, int8_finish);
}

static void run_6(const struct grouped_run *r)
{
    grouped_pixels(r, 6, widened_permute, widened_multiply_add, NULL, int8_finish);
}

static void run_4(const struct grouped_run *r)
{
    grouped_pixels(r, 4, widened_permute, widened_multiply_add, NULL, int8_finish);
}

static void run_2(const struct grouped_run *r)
{
    grouped_pixels(r, 2, widened_permute, widened_multiply_add, NULL, int8_finish);
}

static void run_1(const struct grouped_run *r)
{
    grouped_pixels(r, 1, widened_permute, widened_multiply_add, NULL, int8_finish);
}

static const struct grouped_kernel kernel = {
    .format = {PRECISION_INT8, 2, LANES, avx2_copy_widened},
    .runs = {{8, run_8}, {7, run_7}, {6, run_6}, {4, run_4}, {2, run_2}, {1, run_1}},
};

const struct conv_kernel int8_grouped__avx2 = {
    .name = "int8_grouped__avx2",
    .isa = "avx2",
    .precision = PRECISION_INT8,
    .own = &kernel,
    GROUPED_FUNCTIONS,
};
