#include "kernel/lanes.h"

size_t lanes_dwords(const struct lanes_format *format, size_t elements)
{
    return (elements * format->element + 3) / 4;
}

size_t lanes_factor_kinds(enum precision precision)
{
    return precision == PRECISION_INT8 ? 3 : 1;
}

static void put_bytes(const int8_t *from, size_t count, size_t size, unsigned char *to)
{
    int16_t value;
    if (size == sizeof *from)
        memcpy(to, from, count);
    else
        for (size_t i = 0; i < count; i++, to += sizeof value) {
            value = from[i];
            memcpy(to, &value, sizeof value);
        }
}

static void put_bf16(const float *from, size_t count, size_t size, unsigned char *to)
{
    for (size_t i = 0; i < count; i++, to += size) {
        uint16_t half = bf16_from_f32(from[i]);
        uint32_t wide = (uint32_t)half << 16;
        if (size == sizeof half)
            memcpy(to, &half, sizeof half);
        else
            memcpy(to, &wide, sizeof wide);
    }
}

void lanes_put_weights(const struct lanes_format *format, const struct conv_weights *weights,
                       size_t first, size_t count, unsigned char *to)
{
    if (format->precision == PRECISION_INT8)
        put_bytes(weights->quantized + first, count, format->element, to);
    else if (format->precision == PRECISION_BF16)
        put_bf16(weights->weights + first, count, format->element, to);
    else
        memcpy(to, weights->weights + first, count * sizeof(float));
}

void lanes_put_factors(enum precision precision, const struct conv_weights *weights, size_t channel,
                       size_t stride, float *to)
{
    if (precision != PRECISION_INT8) {
        *to = weights->bias[channel];
        return;
    }
    to[0] = weights->multiplier[channel];
    to[stride] = weights->offset[channel];
    if (weights->residual_multiplier)
        to[2 * stride] = weights->residual_multiplier[channel];
}

void lanes_put_padding(enum precision precision, const struct conv_weights *weights,
                       size_t channels, unsigned char *to)
{
    if (precision == PRECISION_INT8)
        memcpy(to, weights->padding, channels);
    else
        memset(to, 0, channels * precision_size(precision));
}

/* The usual sizes are constants here, each a few loads and stores. */
void lanes_copy(unsigned char *to, size_t to_step, const unsigned char *from, size_t from_step,
                size_t bytes, size_t times)
{
    if (bytes == 16)
        for (; times > 0; times--, to += to_step, from += from_step)
            memcpy(to, from, 16);
    if (bytes == 32)
        for (; times > 0; times--, to += to_step, from += from_step)
            memcpy(to, from, 32);
    for (; times > 0; times--, to += to_step, from += from_step)
        memcpy(to, from, bytes);
}
