#include "serve/admission.h"

#include "tests/suite.h"

enum { MS = 1000000 };

START_TEST(the_average_follows_what_is_measured)
{
    struct served_model entry = {0};
    ck_assert_int_eq(admission_expected_ns(&entry, 5), 0);
    admission_learn(&entry, 80 * MS);
    ck_assert_int_eq(admission_expected_ns(&entry, 1), 80 * MS);
    ck_assert_int_eq(admission_expected_ns(&entry, 3), 240 * MS);
    admission_learn(&entry, 160 * MS);
    ck_assert_int_eq(admission_expected_ns(&entry, 1), 90 * MS);
    for (int i = 0; i < 100; i++)
        admission_learn(&entry, 10 * MS);
    ck_assert_int_lt(admission_expected_ns(&entry, 1), 11 * MS);
}
END_TEST

START_TEST(what_was_given_up_tells_of_more_but_never_of_less)
{
    struct served_model entry = {0};
    admission_learn_min(&entry, 80 * MS);
    ck_assert_int_eq(admission_expected_ns(&entry, 1), 80 * MS);
    admission_learn_min(&entry, 10 * MS);
    ck_assert_int_eq(admission_expected_ns(&entry, 1), 80 * MS);
    admission_learn(&entry, 100 * MS);
    admission_learn_min(&entry, 10 * MS);
    ck_assert_int_eq(admission_expected_ns(&entry, 1), 100 * MS);
    admission_learn_min(&entry, 180 * MS);
    ck_assert_int_eq(admission_expected_ns(&entry, 1), 110 * MS);
}
END_TEST

START_TEST(the_first_picture_that_is_done_counts_in_full_whatever_was_given_up_before)
{
    struct served_model entry = {0};
    admission_learn_min(&entry, MS);
    admission_learn_min(&entry, 2 * MS);
    ck_assert_int_eq(admission_expected_ns(&entry, 3), 6 * MS);
    admission_learn(&entry, 80 * MS);
    ck_assert_int_eq(admission_expected_ns(&entry, 1), 80 * MS);
}
END_TEST

START_TEST(the_wait_is_what_is_ahead_by_the_workers)
{
    struct admission_work work = {.workers = 4, .busy = 4, .remaining_ns = 20 * MS};
    ck_assert_int_eq(admission_wait_ns(&work, 0, 0), 5 * MS);
    ck_assert_int_eq(admission_wait_ns(&work, 10, 100 * MS), 30 * MS);
}
END_TEST

START_TEST(with_a_worker_to_spare_there_is_no_wait)
{
    struct admission_work work = {.workers = 4, .busy = 3, .remaining_ns = 1000 * MS};
    ck_assert_int_eq(admission_wait_ns(&work, 0, 0), 0);
    ck_assert_int_gt(admission_wait_ns(&work, 1, 10 * MS), 0);
}
END_TEST

START_TEST(retry_after_is_the_wait_in_whole_seconds)
{
    ck_assert_int_eq(admission_retry_after_s(0), 1);
    ck_assert_int_eq(admission_retry_after_s(400 * MS), 1);
    ck_assert_int_eq(admission_retry_after_s(1000000001), 2);
    ck_assert_int_eq(admission_retry_after_s((int64_t)7200 * 1000 * MS), 3600);
}
END_TEST

TEST_MAIN("serve/admission", 10, the_average_follows_what_is_measured,
          what_was_given_up_tells_of_more_but_never_of_less,
          the_first_picture_that_is_done_counts_in_full_whatever_was_given_up_before,
          the_wait_is_what_is_ahead_by_the_workers, with_a_worker_to_spare_there_is_no_wait,
          retry_after_is_the_wait_in_whole_seconds)
