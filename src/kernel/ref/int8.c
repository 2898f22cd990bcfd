#include "kernel/quantize.h"
#include "kernel/ref/ref.h"
#include "kernel/ref/walk.h"

/* Packed: multiplier, offset, residual multiplier, each [out_c] in float32; weights
 * [out_c][ky][kx][in_c / groups]; the padding pixel [in_c]. */

static size_t packed_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    (void)self;
    return 3 * (size_t)s->out_c * sizeof(float) + conv_weight_count(s) + (size_t)s->in_c;
}

static void pack(const struct conv_kernel *self, const struct conv_shape *s,
                 const struct conv_weights *weights, void *packed)
{
    (void)self;
    size_t patch = ref_patch(s), count = conv_weight_count(s), out = (size_t)s->out_c;
    float *factors = packed;
    int8_t *p = (int8_t *)(factors + 3 * out);
    memcpy(factors, weights->multiplier, out * sizeof *factors);
    memcpy(factors + out, weights->offset, out * sizeof *factors);
    memset(factors + 2 * out, 0, out * sizeof *factors);
    if (weights->residual_multiplier)
        memcpy(factors + 2 * out, weights->residual_multiplier, out * sizeof *factors);
    for (size_t i = 0; i < count; i++)
        p[i] = weights->quantized[i / patch * patch + ref_source(s, i % patch)];
    memcpy(p + count, weights->padding, (size_t)s->in_c);
}

static size_t scratch_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    (void)self;
    return ref_patch(s);
}

static void output(const struct conv_call *call, const void *patch, int channel, size_t at)
{
    size_t count = ref_patch(call->shape), out = (size_t)call->shape->out_c;
    const float *factors = (const float *)call->packed + channel;
    const int8_t *weights = (const int8_t *)((const float *)call->packed + 3 * out);
    const int8_t *w = weights + (size_t)channel * count;
    const uint8_t *x = patch;
    int32_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i] * w[i];
    if (call->y_float) {
        float value = fmaf((float)sum, factors[0], factors[out]);
        ((float *)call->y)[at] = call->relu && value < 0 ? 0 : value;
        return;
    }
    uint8_t residual = call->residual ? ((const uint8_t *)call->residual)[at] : 0;
    ((uint8_t *)call->y)[at] =
        requantize(sum, factors[0], factors[out], residual, factors[2 * out]);
}

static void run(const struct conv_kernel *self, const struct conv_call *call)
{
    (void)self;
    const struct conv_shape *s = call->shape;
    const int8_t *weights = (const int8_t *)((const float *)call->packed + 3 * s->out_c);
    ref_walk(call, 1, weights + conv_weight_count(s), output);
}

const struct conv_kernel int8_conv__ref = {
    .name = "int8_conv__ref",
    .isa = "ref",
    .precision = PRECISION_INT8,
    .supports = ref_supports,
    .packed_size = packed_size,
    .pack = pack,
    .tile_count = ref_tile_count,
    .scratch_size = scratch_size,
    .run = run,
};
