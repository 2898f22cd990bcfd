/* The AVX_VNNI kernels on machines that have AVX512_VNNI: the same sources, and the same
 * instructions, but for the encoding of one of them. */
#include <stdio.h>

#include "base/cpu.h"
#include "kernel/kernel.h"
#include "tests/kernel/checker.h"
#include "tests/suite.h"

extern const struct conv_kernel int8_dense__avx_vnni, int8_grouped__avx_vnni;

static void check_all(const struct conv_kernel *kernel, enum conv_numbers numbers)
{
    size_t cases, reached = 0;
    const struct conv_case *all = conv_cases(&cases);
    if (!cpu_features().avx512_vnni) {
        printf("# no AVX512_VNNI: %s is not checked\n", kernel->name);
        return;
    }
    for (size_t i = 0; i < cases; i++) {
        struct conv_data d;
        if (!check_wants(&all[i], i))
            continue;
        conv_data_create(&d, &all[i], PRECISION_INT8, numbers, 1 + i);
        struct check c = {.kernel = kernel, .data = &d, .brief = check_is_brief(&all[i])};
        if (kernel->supports(&d.shape)) {
            ck_assert_msg(check_kernel(&c, i), "%s", c.why);
            reached++;
        }
        conv_data_destroy(&d);
    }
    ck_assert_uint_gt(reached, 0);
}

START_TEST(dense_equals_plain_loops)
{
    check_all(&int8_dense__avx_vnni, NUMBERS_USUAL);
}
END_TEST

START_TEST(grouped_equals_plain_loops)
{
    check_all(&int8_grouped__avx_vnni, NUMBERS_USUAL);
}
END_TEST

START_TEST(both_bear_extreme_numbers)
{
    check_all(&int8_dense__avx_vnni, NUMBERS_EXTREME);
    check_all(&int8_grouped__avx_vnni, NUMBERS_EXTREME);
}
END_TEST

TEST_MAIN("kernel/avx_vnni", 120, dense_equals_plain_loops, grouped_equals_plain_loops,
          both_bear_extreme_numbers)
