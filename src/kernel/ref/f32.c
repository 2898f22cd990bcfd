#include "kernel/ref/ref.h"
#include "kernel/ref/walk.h"

/* Packed: weights [out_c][ky][kx][in_c / groups], bias [out_c], a pixel of zeros [in_c]. */

static size_t packed_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    (void)self;
    return (conv_weight_count(s) + (size_t)s->out_c + (size_t)s->in_c) * sizeof(float);
}

static void pack(const struct conv_kernel *self, const struct conv_shape *s,
                 const struct conv_weights *weights, void *packed)
{
    (void)self;
    size_t patch = ref_patch(s), count = conv_weight_count(s);
    float *p = packed;
    for (size_t i = 0; i < count; i++)
        p[i] = weights->weights[i / patch * patch + ref_source(s, i % patch)];
    memcpy(p + count, weights->bias, (size_t)s->out_c * sizeof *p);
    memset(p + count + s->out_c, 0, (size_t)s->in_c * sizeof *p);
}

static size_t scratch_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    (void)self;
    return ref_patch(s) * sizeof(float);
}

static void output(const struct conv_call *call, const void *patch, int channel, size_t at)
{
    size_t count = ref_patch(call->shape);
    const float *x = patch, *packed = call->packed, *w = packed + (size_t)channel * count;
    float sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += x[i] * w[i];
    sum += packed[conv_weight_count(call->shape) + (size_t)channel];
    if (call->residual)
        sum += ((const float *)call->residual)[at];
    ((float *)call->y)[at] = call->relu && sum < 0 ? 0 : sum;
}

static void run(const struct conv_kernel *self, const struct conv_call *call)
{
    (void)self;
    const struct conv_shape *s = call->shape;
    const float *zeros = (const float *)call->packed + conv_weight_count(s) + s->out_c;
    ref_walk(call, sizeof(float), zeros, output);
}

const struct conv_kernel f32_conv__ref = {
    .name = "f32_conv__ref",
    .isa = "ref",
    .precision = PRECISION_F32,
    .supports = ref_supports,
    .packed_size = packed_size,
    .pack = pack,
    .tile_count = ref_tile_count,
    .scratch_size = scratch_size,
    .run = run,
};
