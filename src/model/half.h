/* IEEE binary16. */
#ifndef RESNEXT_MODEL_HALF_H
#define RESNEXT_MODEL_HALF_H

#include <stdint.h>

/* The bits of binary16 as those of binary32, exact. */
static inline uint32_t half_widen(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;
    if (exponent == 0x1f)
        return sign | 0x7f800000 | fraction << 13;
    if (exponent != 0)
        return sign | (exponent + 112) << 23 | fraction << 13;
    if (fraction == 0)
        return sign;
    uint32_t shift = (uint32_t)__builtin_clz(fraction) - 21; /* to bring the leading 1 to bit 10 */
    return sign | (113 - shift) << 23 | (fraction << shift & 0x3ff) << 13;
}

#endif
