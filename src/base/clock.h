/* Time from a clock that no administrator can set. */
#ifndef RESNEXT_BASE_CLOCK_H
#define RESNEXT_BASE_CLOCK_H

#include <stdint.h>

static const int64_t NS_PER_US = 1000, NS_PER_MS = 1000000, NS_PER_S = 1000000000;

/* Nanoseconds since an arbitrary start (CLOCK_MONOTONIC). Any thread. */
int64_t clock_monotonic_ns(void);

static inline double clock_ns_to_ms(int64_t ns)
{
    return (double)ns / 1e6;
}

static inline double clock_ns_to_s(int64_t ns)
{
    return (double)ns / 1e9;
}

#endif
