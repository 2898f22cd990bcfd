#include "kernel/avx512/avx512.h"
#include "kernel/avx512/grouped.h"
#include "kernel/avx512/int8.h"

static void run_14(const struct grouped_run *r)
{
    grouped_pixels(r, 14, PRECISION_INT8, int8_multiply_add, int8_finish);
}

static void run_8(const struct grouped_run *r)
{
    grouped_pixels(r, 8, PRECISION_INT8, int8_multiply_add, int8_finish);
}

static void run_7(const struct grouped_run *r)
{
    grouped_pixels(r, 7, PRECISION_INT8, int8_multiply_add, int8_finish);
}

static void run_4(const struct grouped_run *r)
{
    grouped_pixels(r, 4, PRECISION_INT8, int8_multiply_add, int8_finish);
}

static void run_2(const struct grouped_run *r)
{
    grouped_pixels(r, 2, PRECISION_INT8, int8_multiply_add, int8_finish);
}

static void run_1(const struct grouped_run *r)
{
    grouped_pixels(r, 1, PRECISION_INT8, int8_multiply_add, int8_finish);
}

static const struct grouped_kernel kernel = {
    .format = {PRECISION_INT8, 1, LANES, avx512_copy},
    .runs = {{14, run_14}, {8, run_8}, {7, run_7}, {4, run_4}, {2, run_2}, {1, run_1}},
};

const struct conv_kernel int8_grouped__avx512_vnni = {
    .name = "int8_grouped__avx512_vnni",
    .isa = "avx512_vnni",
    .precision = PRECISION_INT8,
    .own = &kernel,
    GROUPED_FUNCTIONS,
};
