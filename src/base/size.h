/* Checked arithmetic on sizes that come from outside. */
#ifndef RESNEXT_BASE_SIZE_H
#define RESNEXT_BASE_SIZE_H

#include <stdbool.h>
#include <stddef.h>

/* *out = a * b; false if it does not fit. */
static inline bool size_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

/* *out = a + b; false if it does not fit. */
static inline bool size_add(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* n rounded up to a multiple of `unit`, a power of two. The caller makes sure that it fits. */
static inline size_t size_round_up(size_t n, size_t unit)
{
    return (n + unit - 1) & ~(unit - 1);
}

/* a / b, rounded up. */
static inline size_t size_ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

#endif
