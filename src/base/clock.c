#include "base/clock.h"

#include "base/check.h"

int64_t clock_monotonic_ns(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}
