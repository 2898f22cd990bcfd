/* Time from a clock that nobody can set. */
#ifndef RESNEXT_BASE_CLOCK_H
#define RESNEXT_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static const int64_t NS_PER_US = 1000, NS_PER_MS = 1000000, NS_PER_S = 1000000000;

/* Nanoseconds since an arbitrary start (CLOCK_MONOTONIC). Any thread. */
int64_t clock_monotonic_ns(void);

/* A time or duration of `ns`, which is not negative. */
static inline struct timespec clock_timespec(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
}

static inline double clock_ns_to_ms(int64_t ns)
{
    return (double)ns / 1e6;
}

static inline double clock_ns_to_s(int64_t ns)
{
    return (double)ns / 1e9;
}

#endif
