/* Reproducible numbers for tests. */
#ifndef RESNEXT_TESTS_RANDOM_H
#define RESNEXT_TESTS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* xorshift64*; `*state` must not be 0. */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dU;
}

/* Fills `out` with numbers in [-1, 1). */
static inline void random_floats(uint64_t *state, float *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (float)(random_next(state) >> 40) / (float)(1 << 23) - 1;
}

#endif
