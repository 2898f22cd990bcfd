#include "tool/statistics.h"

#include "tests/suite.h"

static void check_numbers(struct statistics s, double min, double median, double p99)
{
    ck_assert_double_eq(s.min, min);
    ck_assert_double_eq(s.median, median);
    ck_assert_double_eq(s.p99, p99);
}

START_TEST(few_samples)
{
    int64_t one[] = {7}, two[] = {9, 4}, three[] = {5, 1, 300};
    check_numbers(statistics_of(one, 1), 7, 7, 7);
    check_numbers(statistics_of(two, 2), 4, 6.5, 9);
    check_numbers(statistics_of(three, 3), 1, 5, 300);
}
END_TEST

/* 1..count, shuffled. */
static struct statistics of_first(size_t count)
{
    static int64_t samples[1000];
    for (size_t i = 0; i < count; i++)
        samples[i] = (int64_t)(i * 7919 % count) + 1; /* 7919 is prime */
    return statistics_of(samples, count);
}

START_TEST(ranks_are_nearest)
{
    check_numbers(of_first(99), 1, 50, 99);
    check_numbers(of_first(100), 1, 50.5, 99);
    check_numbers(of_first(101), 1, 51, 100);
    check_numbers(of_first(199), 1, 100, 198);
    check_numbers(of_first(200), 1, 100.5, 198);
    check_numbers(of_first(1000), 1, 500.5, 990);
}
END_TEST

START_TEST(large_and_equal_samples)
{
    int64_t large[] = {INT64_C(1) << 52, 3, INT64_C(1) << 52, 3};
    check_numbers(statistics_of(large, 4), 3, 0x1p51 + 1.5, 0x1p52);
    ck_assert_int_eq(large[1], 3);
}
END_TEST

TEST_MAIN("tool/statistics", 10, few_samples, ranks_are_nearest, large_and_equal_samples)
