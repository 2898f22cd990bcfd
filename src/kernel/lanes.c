#include "kernel/lanes.h"

size_t lanes_dwords(const struct lanes_format *format, size_t elements)
{
    return (elements * format->element + 3) / 4;
}

size_t lanes_factor_kinds(enum precision precision)
{
    return precision == PRECISION_INT8 ? 3 : 1;
}

/* (The first bytes of the dword are the lowest: CPUs are little-endian.) */
static void put_converted(const struct lanes_format *format, const struct conv_weights *weights,
                          size_t i, unsigned char *to)
{
    int32_t dword;
    if (format->precision == PRECISION_INT8)
        dword = weights->quantized[i];
    else
        dword = (int32_t)((uint32_t)bf16_from_f32(weights->weights[i])
                          << (format->element == 4 ? 16 : 0));
    memcpy(to, &dword, format->element);
}

void lanes_put_weights(const struct lanes_format *format, const struct conv_weights *weights,
                       size_t first, size_t count, unsigned char *to)
{
    if (format->precision == PRECISION_F32)
        memcpy(to, weights->weights + first, count * sizeof(float));
    else if (format->element == sizeof *weights->quantized)
        memcpy(to, weights->quantized + first, count);
    else
        for (size_t i = 0; i < count; i++)
            put_converted(format, weights, first + i, to + i * format->element);
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
