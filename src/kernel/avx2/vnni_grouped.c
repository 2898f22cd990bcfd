#include "kernel/avx2/avx2.h"
#include "kernel/avx2/grouped.h"
#include "kernel/avx2/vnni.h"

static void run_7(const struct grouped_run *r)
{
    grouped_pixels(r, 7, vnni_multiply_add);
}

static void run_4(const struct grouped_run *r)
{
    grouped_pixels(r, 4, vnni_multiply_add);
}

static void run_3(const struct grouped_run *r)
{
    grouped_pixels(r, 3, vnni_multiply_add);
}

static void run_2(const struct grouped_run *r)
{
    grouped_pixels(r, 2, vnni_multiply_add);
}

static void run_1(const struct grouped_run *r)
{
    grouped_pixels(r, 1, vnni_multiply_add);
}

static const struct grouped_kernel kernel = {
    .format = {PRECISION_INT8, 1, LANES, avx_vnni_copy},
    .runs = {{7, run_7}, {4, run_4}, {3, run_3}, {2, run_2}, {1, run_1}},
};

const struct conv_kernel int8_grouped__avx_vnni = {
    .name = "int8_grouped__avx_vnni",
    .isa = "avx_vnni",
    .precision = PRECISION_INT8,
    .own = &kernel,
    GROUPED_FUNCTIONS,
};
