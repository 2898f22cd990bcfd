#include "tool/multi_label.h"

#include <math.h>

#include "tests/suite.h"

static void expect(double wanted, const float *scores, const char *positive, size_t count)
{
    struct scored pictures[16];
    for (size_t i = 0; i < count; i++)
        pictures[i] = (struct scored){scores[i], positive[i] == '1'};
    ck_assert_double_eq_tol(average_precision(pictures, count), wanted, 1e-12);
}

/* The example from scikit-learn's documentation of average_precision_score, and some computed by
 * hand. */
START_TEST(it_is_the_sum_of_recall_steps_times_precision)
{
    expect(0.5 * 1 + 0.5 * 2 / 3, (const float[]){0.1F, 0.4F, 0.35F, 0.8F}, "0011", 4);
    expect(1, (const float[]){-3, -2, 5}, "011", 3);
    expect(1.0 / 3, (const float[]){-3, -2, 5}, "100", 3);
    expect(1, (const float[]){-7}, "1", 1);
}
END_TEST

START_TEST(pictures_of_one_score_are_under_one_threshold)
{
    expect(0.25, (const float[]){2, 2, 2, 2}, "0100", 4);
    expect(0.5 * 0.5 + 0.5 * 0.5, (const float[]){3, 3, 1, 1}, "1010", 4);
    expect(0.5 * 0.5 + 0.5 * 0.5, (const float[]){1, 3, 3, 1}, "1010", 4);
    expect(1.0 / 3 * 1 + 2.0 / 3 * 3 / 4, (const float[]){9, 4, 4, 4}, "1101", 4);
}
END_TEST

START_TEST(without_positives_there_is_none)
{
    struct scored one = {1, false};
    ck_assert(isnan(average_precision(&one, 1)));
    ck_assert(isnan(average_precision(NULL, 0)));
}
END_TEST

TEST_MAIN("tool/multi_label", 10, it_is_the_sum_of_recall_steps_times_precision,
          pictures_of_one_score_are_under_one_threshold, without_positives_there_is_none)
