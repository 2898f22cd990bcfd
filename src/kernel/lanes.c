#include "kernel/lanes.h"

size_t lanes_dwords(const struct lanes_format *format, size_t elements)
{
    return (elements * format->element + 3) / 4;
}

size_t lanes_factor_kinds(enum precision precision)
{
    return precision == PRECISION_INT8 ? 4 : 1;
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
    const struct requantization f = requantization_of(weights, channel);
    to[0] = f.multiplier;
    to[stride] = f.offset;
    to[2 * stride] = f.residual_multiplier;
    to[3 * stride] = f.gated_offset;
}

struct requantization lanes_requantization(const float *factors, size_t stride)
{
    return (struct requantization){
        .multiplier = factors[0],
        .offset = factors[stride],
        .residual_multiplier = factors[2 * stride],
        .gated_offset = factors[3 * stride],
    };
}

void lanes_gate_factors(enum precision precision, const float *factors, size_t stride,
                        const float *gate, size_t channels, float *restrict to, size_t to_stride)
{
    for (size_t c = 0; precision != PRECISION_INT8 && c < channels; c++) {
        to[c] = factors[c] * gate[c];
        to[to_stride + c] = gate[c];
    }
    for (size_t c = 0; precision == PRECISION_INT8 && c < channels; c++) {
        const struct requantization f =
            requantization_gated(lanes_requantization(factors + c, stride), gate[c]);
        to[c] = f.multiplier;
        to[to_stride + c] = f.offset;
        to[2 * to_stride + c] = f.residual_multiplier;
    }
}

void lanes_put_padding(enum precision precision, const struct conv_weights *weights,
                       size_t channels, unsigned char *to)
{
    if (precision == PRECISION_INT8)
        memcpy(to, weights->padding, channels);
    else
        memset(to, 0, channels * precision_size(precision));
}
