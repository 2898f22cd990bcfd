#include "kernel/ref/ref.h"
#include "kernel/ref/walk.h"

/* Packed: bias [out_c] in float32, weights [out_c][ky][kx][in_c / groups], a pixel of zeros
 * [in_c]. */

static const uint16_t *weights_of(const struct conv_shape *s, const void *packed)
{
    return (const uint16_t *)((const float *)packed + s->out_c);
}

static size_t packed_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    (void)self;
    return (size_t)s->out_c * sizeof(float) +
           (conv_weight_count(s) + (size_t)s->in_c) * sizeof(uint16_t);
}

static void pack(const struct conv_kernel *self, const struct conv_shape *s,
                 const struct conv_weights *weights, void *packed)
{
    (void)self;
    size_t patch = ref_patch(s), count = conv_weight_count(s);
    uint16_t *p = (uint16_t *)((float *)packed + s->out_c);
    memcpy(packed, weights->bias, (size_t)s->out_c * sizeof(float));
    for (size_t i = 0; i < count; i++)
        p[i] = bf16_from_f32(weights->weights[i / patch * patch + ref_source(s, i % patch)]);
    memset(p + count, 0, (size_t)s->in_c * sizeof *p);
}

static size_t scratch_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    (void)self;
    return ref_patch(s) * sizeof(uint16_t);
}

static void output(const struct conv_call *call, const void *patch, int channel, size_t at)
{
    size_t count = ref_patch(call->shape);
    const uint16_t *x = patch, *w = weights_of(call->shape, call->packed) + (size_t)channel * count;
    float sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += f32_from_bf16(x[i]) * f32_from_bf16(w[i]);
    sum += ((const float *)call->packed)[channel];
    if (call->residual)
        sum += f32_from_bf16(((const uint16_t *)call->residual)[at]);
    sum = call->relu && sum < 0 ? 0 : sum;
    if (call->y_float)
        ((float *)call->y)[at] = sum;
    else
        ((uint16_t *)call->y)[at] = bf16_from_f32(sum);
}

static void run(const struct conv_kernel *self, const struct conv_call *call)
{
    (void)self;
    const uint16_t *weights = weights_of(call->shape, call->packed);
    ref_walk(call, sizeof(uint16_t), weights + conv_weight_count(call->shape), output);
}

const struct conv_kernel bf16_conv__ref = {
    .name = "bf16_conv__ref",
    .isa = "ref",
    .precision = PRECISION_BF16,
    .supports = ref_supports,
    .packed_size = packed_size,
    .pack = pack,
    .tile_count = ref_tile_count,
    .scratch_size = scratch_size,
    .run = run,
};
