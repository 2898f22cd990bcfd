#include "tool/peak.h"

#include <stdlib.h>
#include <string.h>

#include "tests/suite.h"

/* Between a tenth of the rate of one FMA unit at 1 GHz and the rate of four at 10 GHz. Sanitizers
 * slow down the loops that they check. */
static void check_peak(struct fma_peak peak, const char *isa, int lanes)
{
    const char *sanitizers = getenv("sanitizers");
    double min = sanitizers && *sanitizers ? 0.02 : 0.2;
    ck_assert_str_eq(peak.isa, isa);
    ck_assert_double_gt(peak.gflops, min * lanes);
    ck_assert_double_lt(peak.gflops, 80 * lanes);
}

START_TEST(the_widest_registers_count)
{
    struct cpu_features f = cpu_features();
    struct fma_peak peak = peak_measure(f, PRECISION_F32);
    check_peak(peak,
               f.avx512 ? "avx512"
               : f.avx2 ? "avx2"
                        : "generic",
               f.avx512 ? 16
               : f.avx2 ? 8
                        : 4);
}
END_TEST

/* The loops of machines with fewer features. */
START_TEST(narrower_registers_work_too)
{
    struct cpu_features f = {.avx2 = cpu_features().avx2};
    if (f.avx2)
        check_peak(peak_measure(f, PRECISION_F32), "avx2", 8);
    check_peak(peak_measure((struct cpu_features){0}, PRECISION_F32), "generic", 4);
}
END_TEST

TEST_MAIN("tool/peak", 30, the_widest_registers_count, narrower_registers_work_too)
