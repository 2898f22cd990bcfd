/* The number formats that networks run in. */
#ifndef RESNEXT_KERNEL_ELEMENT_H
#define RESNEXT_KERNEL_ELEMENT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/names.h"

#define PRECISION_NAMES(NAME)                                                                      \
    NAME(PRECISION_F32, "f32")                                                                     \
    NAME(PRECISION_BF16, "bf16")                                                                   \
    NAME(PRECISION_INT8, "int8")

/* What activations and weights are: float32, its upper half, or bytes, of which activations are
 * unsigned and weights signed. Sums are float32, for int8 int32. */
enum precision { PRECISION_NAMES(NAME_VALUE) PRECISION_COUNT };

extern const char *const precision_names[];
const char *precision_name(enum precision precision);

/* Bytes of an activation. */
static inline size_t precision_size(enum precision precision)
{
    return precision == PRECISION_F32 ? 4 : precision == PRECISION_BF16 ? 2 : 1;
}

static inline float f32_from_bf16(uint16_t value)
{
    uint32_t bits = (uint32_t)value << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Rounds to nearest, ties to even. A NaN may become infinite. */
static inline uint16_t bf16_from_f32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#endif
