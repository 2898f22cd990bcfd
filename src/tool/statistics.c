#include "tool/statistics.h"

#include <stdlib.h>

#include "base/check.h"

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

struct statistics statistics_of(int64_t *samples, size_t count)
{
    CHECK(count > 0);
    qsort(samples, count, sizeof *samples, by_size);
    size_t rank = count - count / 100; /* ceil(count * 99 / 100) */
    return (struct statistics){
        .min = (double)samples[0],
        .median = ((double)samples[(count - 1) / 2] + (double)samples[count / 2]) / 2,
        .p99 = (double)samples[rank - 1],
    };
}
