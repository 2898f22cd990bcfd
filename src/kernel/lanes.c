#include "kernel/lanes.h"

size_t lanes_dwords(const struct lanes_format *format, size_t elements)
{
    return (elements * format->element + 3) / 4;
}

size_t lanes_factor_kinds(enum precision precision)
{
    return precision == PRECISION_INT8 ? 3 : 1;
}

bool lanes_keep_weights(const struct lanes_format *f)
{
    return f->precision == PRECISION_F32 || (f->precision == PRECISION_INT8 && f->element == 1);
}

void lanes_put_weight(const struct lanes_format *format, const struct conv_weights *weights,
                      size_t index, unsigned char *to)
{
    if (format->precision == PRECISION_INT8) {
        int16_t value = weights->quantized[index]; /* little-endian: its first byte is the int8 */
        memcpy(to, &value, format->element);
    } else if (format->precision == PRECISION_BF16) {
        uint16_t value = bf16_from_f32(weights->weights[index]);
        memcpy(to + format->element - sizeof value, &value, sizeof value); /* widened: above zeros */
    } else {
        memcpy(to, &weights->weights[index], sizeof(float));
    }
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
