/* What many measured times have in common. */
#ifndef RESNEXT_TOOL_STATISTICS_H
#define RESNEXT_TOOL_STATISTICS_H

#include <stddef.h>
#include <stdint.h>

/* In the samples' unit. The median of an even number of samples is the mean of the middle two; p99
 * is the smallest sample that at least 99 of 100 do not exceed (nearest rank). */
struct statistics {
    double min, median, p99;
};

/* Of `count` (at least 1) samples, which are sorted on the way. */
struct statistics statistics_of(int64_t *samples, size_t count);

#endif
