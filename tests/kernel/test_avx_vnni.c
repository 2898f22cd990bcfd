/* The AVX_VNNI kernels on machines that have AVX512_VNNI: the same sources, and the same
 * instructions, but for the encoding of one of them. */
#include <stdio.h>

#include "base/cpu.h"
#include "kernel/kernel.h"
#include "tests/kernel/checker.h"
#include "tests/suite.h"

extern const struct conv_kernel int8_dense__avx_vnni, int8_grouped__avx_vnni;

static void check_all(enum conv_numbers numbers)
{
    static const struct conv_kernel *const kernels[] = {&int8_dense__avx_vnni,
                                                        &int8_grouped__avx_vnni};
    if (cpu_features().avx512_vnni)
        check_kernels(kernels, sizeof kernels / sizeof kernels[0], numbers);
    else
        printf("# no AVX512_VNNI: nothing is checked\n");
}

START_TEST(they_equal_plain_loops)
{
    check_all(NUMBERS_USUAL);
}
END_TEST

START_TEST(they_bear_extreme_numbers)
{
    check_all(NUMBERS_EXTREME);
}
END_TEST

TEST_MAIN("kernel/avx_vnni", 120, they_equal_plain_loops, they_bear_extreme_numbers)
