#include "tool/average_precision.h"

#include <math.h>
#include <stdlib.h>

static int by_score(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

double average_precision(struct scored *pictures, size_t count)
{
    size_t found = 0, found_before = 0;
    double sum = 0;
    if (count > 0)
        qsort(pictures, count, sizeof *pictures, by_score);
    for (size_t i = 0; i < count; i++) {
        found += pictures[i].positive;
        if (i + 1 < count && pictures[i + 1].score == pictures[i].score)
            continue;
        sum += (double)(found - found_before) * (double)found / (double)(i + 1);
        found_before = found;
    }
    return found > 0 ? sum / (double)found : (double)NAN;
}
