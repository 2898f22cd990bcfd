#include "kernel/isa/generic.h"

#include <float.h>

#include "tests/random.h"
#include "tests/suite.h"

static void check_fma(float a, float b, float c)
{
    vecf sums = vec_fma((vecf){a, 1, a, 0}, (vecf){b, 2, b, 0}, (vecf){c, 3, -c, 0});
    ck_assert_float_eq(sums[0], fmaf(a, b, c));
    ck_assert_float_eq(sums[1], 5);
    ck_assert_float_eq(sums[2], fmaf(a, b, -c));
    ck_assert_float_eq(sums[3], 0);
}

/* A float of any sign, with an exponent around that of 1. */
static float any_float(uint64_t *seed)
{
    uint64_t bits = random_next(seed);
    float value = ldexpf(1 + (float)(bits & 0x7fffff) * 0x1p-23F, (int)(bits >> 32 & 63) - 32);
    return bits >> 63 ? -value : value;
}

START_TEST(a_product_and_a_sum_are_rounded_once)
{
    uint64_t seed = 1;
    for (int i = 0; i < 100000; i++)
        check_fma(any_float(&seed), any_float(&seed), any_float(&seed));
}
END_TEST

/* c and a little more or less than half of its last bit, so little that no double holds the sum. */
START_TEST(halfway_cases_are_rounded_once)
{
    int found = 0;
    for (int n = 1; found < 1000; n++) {
        float a = 1 + (float)n * 0x1p-23F, b = 1 / a;
        double rest = (double)a * b - 1;
        if (rest == 0 || fabs(rest) >= 0x1p-30)
            continue;
        found++;
        for (int odd = 0; odd < 2; odd++)
            check_fma(a, b * 0x1p-24F, 1 + (float)odd * 0x1p-23F);
    }
}
END_TEST

START_TEST(bytes_are_rounded_to_even_and_clipped)
{
    const float from[] = {-1e30F,  -0.5F,  0.5F, 1.5F,  2.5F, 254.5F,
                          254.51F, 255.5F, 256,  1e30F, 7,    0};
    const uint8_t to[] = {0, 0, 0, 2, 2, 254, 255, 255, 255, 255, 7, 0};
    for (int i = 0; i < 12; i += LANES) {
        vec_bytes bytes = vec_to_bytes(vecf_load(from + i));
        for (int k = 0; k < LANES; k++)
            ck_assert_int_eq(bytes[k], to[i + k]);
    }
}
END_TEST

TEST_MAIN("kernel/generic", 30, a_product_and_a_sum_are_rounded_once,
          halfway_cases_are_rounded_once, bytes_are_rounded_to_even_and_clipped)
