/* The number formats that networks run in. */
#ifndef RESNEXT_KERNEL_ELEMENT_H
#define RESNEXT_KERNEL_ELEMENT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* What activations and weights are; sums are float32, for int8 int32. */
enum precision {
    PRECISION_F32,
    PRECISION_BF16, /* the upper half of a float32 */
    PRECISION_INT8, /* activations are unsigned bytes, weights signed ones */
    PRECISION_COUNT
};

/* "f32", "bf16", "int8". */
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
