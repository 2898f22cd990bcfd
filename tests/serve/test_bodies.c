#include "serve/bodies.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "tests/suite.h"

static struct bodies bodies;

START_TEST(what_fits_is_given_and_no_more)
{
    ck_assert(!bodies_take(&bodies, 1));
    atomic_store(&bodies.limit, 100);
    ck_assert(bodies_take(&bodies, 60));
    ck_assert(!bodies_take(&bodies, 41));
    ck_assert(bodies_have_space(&bodies, 40) && !bodies_have_space(&bodies, 41));
    ck_assert(bodies_take(&bodies, 40));
    ck_assert(bodies_have_space(&bodies, 0) && !bodies_have_space(&bodies, 1));
    bodies_return(&bodies, 100);
    ck_assert_uint_eq(atomic_load(&bodies.used), 0);
}
END_TEST

START_TEST(what_is_there_already_counts_beyond_the_limit)
{
    atomic_store(&bodies.limit, 100);
    bodies_count(&bodies, 150);
    ck_assert(!bodies_have_space(&bodies, 0) && !bodies_take(&bodies, 1));
    bodies_return(&bodies, 150);
    ck_assert(bodies_take(&bodies, 100));
    atomic_store(&bodies.limit, 50); /* as a reload may */
    ck_assert(!bodies_have_space(&bodies, 0));
    bodies_return(&bodies, 100);
    ck_assert(bodies_take(&bodies, 50));
}
END_TEST

START_TEST(a_buffer_grows_by_half_or_into_what_is_left)
{
    enum { MIB = 1 << 20 };
    atomic_store(&bodies.limit, 10 * MIB);
    ck_assert_uint_eq(bodies_grow(&bodies, 0, MIB, 1000, SIZE_MAX), MIB + MIB / 2);
    ck_assert_uint_eq(bodies_grow(&bodies, MIB + MIB / 2, 2 * MIB, 1000, SIZE_MAX), 3 * MIB);
    ck_assert_uint_eq(atomic_load(&bodies.used), 3 * MIB);
    ck_assert_uint_eq(bodies_grow(&bodies, 3 * MIB, 4 * MIB, 1000, 4 * MIB + 1), 4 * MIB + 1);
    bodies_count(&bodies, 5 * MIB - 1);
    size_t capacity = bodies_grow(&bodies, 4 * MIB + 1, 4 * MIB + 2, 1000, SIZE_MAX);
    ck_assert(capacity >= 4 * MIB + 2 && capacity <= 5 * MIB + 1);
    bodies_count(&bodies, 10 * MIB - atomic_load(&bodies.used));
    ck_assert_uint_eq(bodies_grow(&bodies, capacity, capacity + 1, 1000, SIZE_MAX), 0);
    ck_assert_uint_eq(atomic_load(&bodies.used), 10 * MIB);
}
END_TEST

START_TEST(what_is_small_has_space_at_all_times)
{
    bodies_count(&bodies, 1000);
    ck_assert_uint_eq(bodies_grow(&bodies, 0, 1, 1024, SIZE_MAX), 1024);
    ck_assert_uint_eq(bodies_grow(&bodies, 1024, 2000, 1024, SIZE_MAX), 3000);
    ck_assert_uint_eq(bodies_grow(&bodies, 3000, 60000, 1024, SIZE_MAX), BODIES_SMALL);
    ck_assert_uint_eq(atomic_load(&bodies.used), 1000 + BODIES_SMALL);
    ck_assert_uint_eq(bodies_grow(&bodies, BODIES_SMALL, BODIES_SMALL + 1, 1024, SIZE_MAX), 0);
    ck_assert_uint_eq(bodies_grow(&bodies, 0, 700, BODIES_SMALL, 746), 746);
    ck_assert_uint_eq(bodies_grow(&bodies, 0, BODIES_SMALL, 1, BODIES_SMALL), BODIES_SMALL);
}
END_TEST

START_TEST(a_buffer_that_cannot_grow_stays_as_it_is)
{
    char *bytes = NULL;
    size_t capacity = 0;
    atomic_store(&bodies.limit, 3 * BODIES_SMALL);
    ck_assert_int_eq(bodies_resize(&bodies, &bytes, &capacity, 10, 1024, SIZE_MAX), ERR_OK);
    ck_assert_uint_eq(capacity, 1024);
    memcpy(bytes, "0123456789", 10);
    ck_assert_int_eq(bodies_resize(&bodies, &bytes, &capacity, 1024, 1024, SIZE_MAX), ERR_OK);
    ck_assert_uint_eq(capacity, 1024);
    ck_assert_int_eq(bodies_resize(&bodies, &bytes, &capacity, 2 * BODIES_SMALL, 1024, SIZE_MAX),
                     ERR_OK);
    ck_assert_mem_eq(bytes, "0123456789", 10);
    size_t before = capacity;
    ck_assert_int_eq(bodies_resize(&bodies, &bytes, &capacity, 4 * BODIES_SMALL, 1024, SIZE_MAX),
                     ERR_OVERLOADED);
    ck_assert_uint_eq(capacity, before);
    ck_assert_uint_eq(atomic_load(&bodies.used), before);
    ck_assert_mem_eq(bytes, "0123456789", 10);
    free(bytes);
}
END_TEST

static void *take_and_return(void *unused)
{
    (void)unused;
    for (int i = 0; i < 20000; i++)
        if (bodies_take(&bodies, 60)) {
            ck_assert_uint_ge(atomic_load(&bodies.used), 60);
            bodies_return(&bodies, 60);
        }
    return NULL;
}

START_TEST(threads_leave_nothing_behind)
{
    pthread_t threads[4];
    atomic_store(&bodies.limit, 100);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_return, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    ck_assert_uint_eq(atomic_load(&bodies.used), 0);
}
END_TEST

static void *ask_for_too_much(void *left)
{
    enum { TIMES = 2000000 };
    for (int i = 0; i < TIMES; i++) {
        ck_assert(!bodies_take(&bodies, 101));
        atomic_store((atomic_int *)left, TIMES - 1 - i);
    }
    return NULL;
}

START_TEST(who_is_refused_takes_no_space_from_others)
{
    pthread_t greedy;
    atomic_int left = 1;
    atomic_store(&bodies.limit, 100);
    ck_assert_int_eq(pthread_create(&greedy, NULL, ask_for_too_much, &left), 0);
    while (atomic_load(&left) > 0) {
        ck_assert(bodies_take(&bodies, 100));
        bodies_return(&bodies, 100);
    }
    pthread_join(greedy, NULL);
}
END_TEST

TEST_MAIN("serve/bodies", 60, what_fits_is_given_and_no_more,
          what_is_there_already_counts_beyond_the_limit,
          a_buffer_grows_by_half_or_into_what_is_left, a_buffer_that_cannot_grow_stays_as_it_is,
          what_is_small_has_space_at_all_times, threads_leave_nothing_behind,
          who_is_refused_takes_no_space_from_others)
