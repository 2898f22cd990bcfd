/* Statistics of measured times. */
#ifndef RESNEXT_TOOL_STATISTICS_H
#define RESNEXT_TOOL_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

/* In the samples' unit. The median of an even number of samples is the mean of the middle two. p99
 * is the 99th percentile by nearest rank: the smallest sample that at least 99 % do not exceed. */
struct statistics {
    double min, median, p99;
};

/* Sorts `samples`; `count` is at least 1. */
struct statistics statistics_of(int64_t *samples, size_t count);

#endif
