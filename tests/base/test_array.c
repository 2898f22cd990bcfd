#include "base/array.h"

#include <stdlib.h>

#include "tests/suite.h"

START_TEST(what_it_holds_stays)
{
    int *items = NULL;
    size_t capacity = 0;
    for (int i = 0; i < 1000; i++) {
        items = array_grow(items, (size_t)i, &capacity, sizeof *items);
        ck_assert_ptr_nonnull(items);
        ck_assert_uint_gt(capacity, (size_t)i);
        items[i] = i;
    }
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(items[i], i);
    free(items);
}
END_TEST

TEST_MAIN("base/array", 10, what_it_holds_stays)
