/* What int8 sums mean. */
#ifndef RESNEXT_KERNEL_QUANTIZE_H
#define RESNEXT_KERNEL_QUANTIZE_H

#include <math.h>
#include <stdint.h>

#include "kernel/kernel.h"

/* The factors of an output channel, of which struct conv_weights has arrays. */
struct requantization {
    float multiplier, offset, residual_multiplier, gated_offset;
};

static inline struct requantization requantization_of(const struct conv_weights *w, size_t channel)
{
    return (struct requantization){
        .multiplier = w->multiplier[channel],
        .offset = w->offset[channel],
        .residual_multiplier = w->residual_multiplier ? w->residual_multiplier[channel] : 0,
        .gated_offset = w->gated_offset ? w->gated_offset[channel] : 0,
    };
}

/* The factors of a channel with a gate, with one rounding an operation. */
static inline struct requantization requantization_gated(struct requantization f, float gate)
{
    return (struct requantization){
        .multiplier = f.multiplier * gate,
        .offset = f.offset * gate + f.gated_offset,
        .residual_multiplier = f.residual_multiplier,
    };
}

/* To the nearest integer, ties to even, clipped to 0..max. */
static inline long requantize_clipped(float t, float max)
{
    return lrintf(t < 0 ? 0 : t > max ? max : t);
}

/* The byte that stands for a sum of products: with one rounding a step,
 *   t = sum * multiplier + offset;  t = residual * residual_multiplier + t;  round t to the nearest
 * integer, ties to even, and clip it to 0..255. Every int8 kernel gives exactly this. `residual` is
 * a byte, or what the shortcut gives: its sum * multiplier + offset. */
static inline uint8_t requantize(int32_t sum, struct requantization f, float residual)
{
    float t = fmaf((float)sum, f.multiplier, f.offset);
    return (uint8_t)requantize_clipped(fmaf(residual, f.residual_multiplier, t), 255);
}

/* The word. */
static inline uint16_t requantize_word(int32_t sum, struct requantization f)
{
    return (uint16_t)requantize_clipped(fmaf((float)sum, f.multiplier, f.offset), CONV_WORD_MAX);
}

#endif
