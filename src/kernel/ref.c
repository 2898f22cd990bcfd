/* The C reference: plain loops, any shape, the meaning of every other kernel.
 *
 * Packed: factors (the kinds of lanes.h), each [out_c], and weights [out_c][ky][kx][in_c / groups],
 * all in float32; the pixel outside the image, [in_c] elements. */
#include "kernel/kernel.h"
#include "kernel/lanes.h"

enum { FACTORS = 4 };

/* Weights of one output channel. */
static size_t patch_size(const struct conv_shape *s)
{
    return (size_t)s->kernel * (size_t)s->kernel * (size_t)(s->in_c / s->groups);
}

static size_t ref_packed_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    if (s->shortcut_c) {
        const struct conv_shape shortcut = conv_shortcut(s);
        return conv_packed_shortcut(self, s) + ref_packed_size(self, &shortcut);
    }
    return (FACTORS * (size_t)s->out_c + conv_weight_count(s)) * sizeof(float) +
           (size_t)s->in_c * precision_size(self->precision);
}

static float weight(enum precision precision, const struct conv_weights *weights, size_t i)
{
    if (precision == PRECISION_INT8)
        return weights->quantized[i];
    return precision == PRECISION_BF16 ? f32_from_bf16(bf16_from_f32(weights->weights[i]))
                                       : weights->weights[i];
}

static void ref_pack(const struct conv_kernel *self, const struct conv_shape *s,
                     const struct conv_weights *weights, void *packed)
{
    size_t channels = (size_t)(s->in_c / s->groups), taps = (size_t)s->kernel * (size_t)s->kernel;
    size_t patch = patch_size(s), out = (size_t)s->out_c;
    float *factors = packed, *p = factors + FACTORS * out;
    memset(factors, 0, FACTORS * out * sizeof *factors);
    for (size_t o = 0; o < out; o++) {
        lanes_put_factors(self->precision, weights, o, out, factors + o);
        for (size_t i = 0; i < patch; i++)
            *p++ = weight(self->precision, weights, o * patch + i % channels * taps + i / channels);
    }
    lanes_put_padding(self->precision, weights, (size_t)s->in_c, (unsigned char *)p);
}

static float element(enum precision precision, const void *from, size_t i)
{
    if (precision == PRECISION_INT8)
        return ((const uint8_t *)from)[i];
    return precision == PRECISION_BF16 ? f32_from_bf16(((const uint16_t *)from)[i])
                                       : ((const float *)from)[i];
}

/* The sum of products of output channel `channel` at one output pixel. In double, products are
 * exact, and so are the sums of int8. Input pixels are `pitch` elements apart. */
static double sum_at(const struct conv_kernel *self, const struct conv_call *call, int channel,
                     const unsigned char *image, size_t pitch, int top, int left)
{
    const struct conv_shape *s = call->shape;
    size_t size = precision_size(self->precision), channels = (size_t)(s->in_c / s->groups);
    size_t first = (size_t)(channel / (s->out_c / s->groups)) * channels;
    const float *weights = (const float *)call->packed + FACTORS * s->out_c;
    const void *padding = weights + conv_weight_count(s);
    const float *w = weights + (size_t)channel * patch_size(s);
    double sum = 0;
    for (int y = top; y < top + s->kernel; y++)
        for (int x = left; x < left + s->kernel; x++) {
            bool inside = y >= 0 && y < s->in_h && x >= 0 && x < s->in_w;
            size_t pixel = inside ? (size_t)y * (size_t)s->in_w + (size_t)x : 0;
            const void *from = inside ? image + pixel * pitch * size : padding;
            for (size_t c = first; c < first + channels; c++)
                sum += (double)element(self->precision, from, c) * *w++;
        }
    return sum;
}

/* The gate of output `at`; 1 if there is none. */
static float gate_at(const struct conv_call *call, int channel, size_t at)
{
    const struct conv_shape *s = call->shape;
    size_t image = at / ((size_t)s->out_h * (size_t)s->out_w * (size_t)s->out_c);
    return call->gate ? call->gate[image * (size_t)s->out_c + (size_t)channel] : 1;
}

/* Output `at` of the shortcut. */
static float shortcut_at(const struct conv_kernel *self, const struct conv_call *call, int channel,
                         size_t at)
{
    const struct conv_shape s = conv_shortcut(call->shape);
    const struct conv_call of = {.shape = &s,
                                 .packed = (const unsigned char *)call->packed +
                                           conv_packed_shortcut(self, call->shape)};
    size_t pixel = at / (size_t)s.out_c, width = (size_t)s.out_w, height = (size_t)s.out_h;
    size_t pitch = call->shortcut_pitch;
    size_t image = (size_t)s.in_h * (size_t)s.in_w * pitch * precision_size(self->precision);
    double sum =
        sum_at(self, &of, channel,
               (const unsigned char *)call->shortcut_x + pixel / width / height * image, pitch,
               (int)(pixel / width % height) * s.stride, (int)(pixel % width) * s.stride);
    const float *factors = (const float *)of.packed + channel;
    return self->precision == PRECISION_INT8 ? fmaf((float)sum, factors[0], factors[s.out_c])
                                             : (float)sum + factors[0];
}

static float residual_at(const struct conv_kernel *self, const struct conv_call *call, int channel,
                         size_t at)
{
    if (call->shape->shortcut_c)
        return shortcut_at(self, call, channel, at);
    return call->residual ? element(self->precision, call->residual, at) : 0;
}

static void put(const struct conv_kernel *self, const struct conv_call *call, int channel,
                size_t at, double sum)
{
    const float *factors = (const float *)call->packed + channel;
    float gate = gate_at(call, channel, at);
    float residual = residual_at(self, call, channel, at);
    float value = ((float)sum + factors[0]) * gate + residual;
    if (self->precision == PRECISION_INT8) {
        struct requantization f = lanes_requantization(factors, (size_t)call->shape->out_c);
        f = call->gate ? requantization_gated(f, gate) : f;
        value = fmaf((float)sum, f.multiplier, f.offset);
        if (call->output == CONV_OUTPUT_ELEMENT)
            ((uint8_t *)call->y)[at] = requantize((int32_t)sum, f, residual);
        if (call->output == CONV_OUTPUT_WORD)
            ((uint16_t *)call->y)[at] = requantize_word((int32_t)sum, f);
        if (call->output != CONV_OUTPUT_FLOAT)
            return;
    }
    value = call->relu && value < 0 ? 0 : value;
    if (call->output == CONV_OUTPUT_FLOAT || self->precision == PRECISION_F32)
        ((float *)call->y)[at] = value;
    else
        ((uint16_t *)call->y)[at] = bf16_from_f32(value);
}

/* A tile is an output row. */
static void ref_run_tiles(const struct conv_kernel *self, const struct conv_call *call)
{
    const struct conv_shape *s = call->shape;
    size_t image_in =
        (size_t)s->in_h * (size_t)s->in_w * (size_t)s->in_c * precision_size(self->precision);
    for (int row = call->tile_begin; row < call->tile_end; row++)
        for (int ox = 0; ox < s->out_w; ox++)
            for (int c = 0; c < s->out_c; c++) {
                const unsigned char *image =
                    (const unsigned char *)call->x + (size_t)(row / s->out_h) * image_in;
                size_t pixel = (size_t)row * (size_t)s->out_w + (size_t)ox;
                put(self, call, c, pixel * (size_t)s->out_c + (size_t)c,
                    sum_at(self, call, c, image, (size_t)s->in_c,
                           row % s->out_h * s->stride - s->pad, ox * s->stride - s->pad));
            }
}

static int ref_tile_count(const struct conv_kernel *self, const struct conv_shape *shape,
                          int images)
{
    (void)self;
    return images * shape->out_h;
}

static size_t ref_scratch_size(const struct conv_kernel *self, const struct conv_shape *shape)
{
    (void)self;
    (void)shape;
    return 0;
}

static bool ref_supports(const struct conv_shape *shape)
{
    (void)shape;
    return true;
}

static const struct conv_method ref_method = {
    .packed_size = ref_packed_size,
    .pack = ref_pack,
    .tile_count = ref_tile_count,
    .scratch_size = ref_scratch_size,
    .run = ref_run_tiles,
};

#define LEAF_ISA ref
LEAF_KERNEL(f32_conv, PRECISION_F32, ref_supports, &ref_method, NULL);
LEAF_KERNEL(bf16_conv, PRECISION_BF16, ref_supports, &ref_method, NULL);
LEAF_KERNEL(int8_conv, PRECISION_INT8, ref_supports, &ref_method, NULL);
