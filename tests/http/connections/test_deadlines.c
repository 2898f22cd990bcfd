#include "http/connections/deadlines.h"

#include <stdbool.h>
#include <stdlib.h>

#include "tests/suite.h"

enum { COUNT = 300 };

static struct deadlines deadlines;
static struct deadline many[COUNT];

static void open_heap(void)
{
    struct error err;
    ck_assert_int_eq(deadlines_open(&deadlines, COUNT, &err), ERR_OK);
}

/* What the heap must say, by looking at every one. */
static int64_t earliest(void)
{
    int64_t min = INT64_MAX;
    for (int i = 0; i < COUNT; i++)
        if (many[i].place > 0 && many[i].at_ns < min)
            min = many[i].at_ns;
    return min;
}

START_TEST(the_earliest_is_first_whatever_is_set_moved_and_unset)
{
    open_heap();
    srand(7);
    for (int step = 0; step < 20000; step++) {
        struct deadline *d = &many[rand() % COUNT];
        if (rand() % 3 == 0)
            deadlines_unset(&deadlines, d);
        else
            deadlines_set(&deadlines, d, rand() % 1000);
        struct deadline *first = deadlines_first(&deadlines);
        ck_assert_int_eq(first ? first->at_ns : INT64_MAX, earliest());
    }
    deadlines_close(&deadlines);
}
END_TEST

START_TEST(they_come_out_in_order)
{
    open_heap();
    for (int i = 0; i < COUNT; i++)
        deadlines_set(&deadlines, &many[i], (i * 7919) % COUNT);
    for (int i = 0; i < COUNT; i++) {
        struct deadline *first = deadlines_first(&deadlines);
        ck_assert_int_eq(first->at_ns, i);
        deadlines_unset(&deadlines, first);
        deadlines_unset(&deadlines, first);
    }
    ck_assert_ptr_null(deadlines_first(&deadlines));
    deadlines_close(&deadlines);
}
END_TEST

TEST_MAIN("http/deadlines", 60, the_earliest_is_first_whatever_is_set_moved_and_unset,
          they_come_out_in_order)
