/* What int8 sums mean. */
#ifndef RESNEXT_KERNEL_QUANTIZE_H
#define RESNEXT_KERNEL_QUANTIZE_H

#include <math.h>
#include <stdint.h>

/* The byte that stands for a sum of products: with one rounding a step,
 *   t = sum * multiplier + offset;  t = residual * residual_multiplier + t;  round t to the nearest
 * integer, ties to even, and clip it to 0..255. Every int8 kernel gives exactly this. */
static inline uint8_t requantize(int32_t sum, float multiplier, float offset, uint8_t residual,
                                 float residual_multiplier)
{
    float t = fmaf((float)sum, multiplier, offset);
    t = fmaf((float)residual, residual_multiplier, t);
    t = t < 0 ? 0 : t > 255 ? 255 : t;
    return (uint8_t)lrintf(t);
}

#endif
