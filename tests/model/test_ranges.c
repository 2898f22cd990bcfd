#include "model/ranges.h"

#include <math.h>
#include <string.h>

#include "tests/suite.h"

enum { CHANNELS = 3 };

static struct {
    float low[CHANNELS], high[CHANNELS];
    uint32_t counts[CHANNELS][RANGE_FOLDS][RANGE_BINS + 1];
} seen;

static void choose(enum range_method method, double spans[CHANNELS])
{
    const struct range_counts counts = {CHANNELS, seen.low, seen.high, &seen.counts[0][0][0]};
    ranges_choose(&counts, method, spans);
}

static void start(void)
{
    memset(&seen, 0, sizeof seen);
    for (int c = 0; c < CHANNELS; c++)
        seen.high[c] = 1;
}

/* Values of channel c from 0 up to bin `top`, equally often. */
static void fill(int c, int fold, int top, uint32_t count)
{
    for (int b = 0; b <= top; b++)
        seen.counts[c][fold][b] = count;
}

START_TEST(halves_that_agree_need_no_headroom)
{
    double spans[CHANNELS];
    start();
    for (int c = 0; c < CHANNELS; c++)
        for (int f = 0; f < RANGE_FOLDS; f++)
            fill(c, f, RANGE_BINS, 100);
    choose(RANGE_MSE, spans);
    for (int c = 0; c < CHANNELS; c++)
        ck_assert_double_eq_tol(spans[c], 1, 0.011);
}
END_TEST

/* Each channel is active in one half of the pictures only, so the other half would clip it. */
START_TEST(halves_that_differ_widen_the_ranges)
{
    double spans[CHANNELS];
    start();
    for (int c = 0; c < CHANNELS; c++) {
        fill(c, c % 2, RANGE_BINS, 100);
        fill(c, 1 - c % 2, RANGE_BINS / 4, 100);
    }
    choose(RANGE_MSE, spans);
    for (int c = 0; c < CHANNELS; c++)
        ck_assert_double_ge(spans[c], 1);
}
END_TEST

/* A channel of small numbers has a range of its own if it keeps to it. */
START_TEST(a_narrow_channel_that_stays_narrow_has_a_narrow_range)
{
    double spans[CHANNELS];
    start();
    seen.high[2] = 0.1F;
    for (int c = 0; c < CHANNELS; c++)
        for (int f = 0; f < RANGE_FOLDS; f++)
            fill(c, f, RANGE_BINS, 100);
    choose(RANGE_MSE, spans);
    ck_assert_double_lt(spans[2], 0.15);
    ck_assert_double_ge(spans[2], 0.09);
    choose(RANGE_MINMAX, spans);
    ck_assert_double_eq_tol(spans[0], 1, 1e-9);
    ck_assert_double_eq_tol(spans[2], sqrt(0.1), 1e-6);
}
END_TEST

START_TEST(percentile_leaves_out_a_few)
{
    double spans[CHANNELS];
    start();
    for (int c = 0; c < CHANNELS; c++) {
        fill(c, 0, RANGE_BINS / 2 - 1, 1000);
        seen.counts[c][0][RANGE_BINS] = 3;
    }
    choose(RANGE_PERCENTILE, spans);
    for (int c = 0; c < CHANNELS; c++)
        ck_assert_double_eq_tol(spans[c], 0.5, 0.011);
}
END_TEST

/* By sums over all bins, one value at a time. */
START_TEST(least_squares_of_one_half_are_the_least_of_all)
{
    double spans[CHANNELS], best = 0, min = INFINITY;
    start();
    for (int c = 0; c < CHANNELS; c++)
        for (int b = 0; b <= RANGE_BINS; b++)
            seen.counts[c][0][b] = (uint32_t)(1e6 * exp(-0.03 * b));
    for (int percent = 1; percent <= 100; percent++) {
        double high = percent / 100.0, error = 0;
        for (int b = 1; b <= RANGE_BINS; b++) {
            double x = (double)b / RANGE_BINS, over = x > high + 1e-9 ? x - high : 0;
            error += seen.counts[0][0][b] * (over > 0 ? over * over : high * high / 65025 / 12);
        }
        best = error < min ? high : best;
        min = fmin(min, error);
    }
    choose(RANGE_MSE, spans);
    ck_assert_double_lt(best, 0.9);
    for (int c = 0; c < CHANNELS; c++)
        ck_assert_double_eq_tol(spans[c], best, 1e-6);
}
END_TEST

START_TEST(what_was_always_0_has_no_range)
{
    double spans[CHANNELS];
    start();
    memset(seen.high, 0, sizeof seen.high);
    for (int c = 0; c < CHANNELS; c++)
        seen.counts[c][0][0] = seen.counts[c][1][0] = 50;
    choose(RANGE_MSE, spans);
    for (int c = 0; c < CHANNELS; c++)
        ck_assert(spans[c] == 0);
}
END_TEST

START_TEST(the_mean_is_that_of_both_halves)
{
    start();
    seen.low[1] = -1;
    seen.counts[1][0][RANGE_BINS] = 3; /* 1 */
    seen.counts[1][1][0] = 1;          /* -1 */
    const struct range_counts counts = {CHANNELS, seen.low, seen.high, &seen.counts[0][0][0]};
    ck_assert_double_eq_tol(ranges_mean(&counts, 1), 0.5, 1e-9);
    ck_assert(ranges_mean(&counts, 0) == 0);
}
END_TEST

TEST_MAIN("model/ranges", 10, halves_that_agree_need_no_headroom,
          halves_that_differ_widen_the_ranges,
          a_narrow_channel_that_stays_narrow_has_a_narrow_range, percentile_leaves_out_a_few,
          least_squares_of_one_half_are_the_least_of_all, what_was_always_0_has_no_range,
          the_mean_is_that_of_both_halves)
