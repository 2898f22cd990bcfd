#include <string.h>

#include "kernel/ref/ref.h"

/* Packed: weights [out_c][in_c / groups][kernel][kernel] as they come, then bias [out_c]. */

static bool supports(const struct conv_shape *shape)
{
    (void)shape;
    return true;
}

static size_t packed_size(const struct conv_shape *s)
{
    return (conv_weight_count(s) + (size_t)s->out_c) * sizeof(float);
}

static void pack(const struct conv_shape *s, const float *weights, const float *bias, void *packed)
{
    float *p = packed;
    memcpy(p, weights, conv_weight_count(s) * sizeof *p);
    memcpy(p + conv_weight_count(s), bias, (size_t)s->out_c * sizeof *p);
}

static size_t scratch_size(const struct conv_shape *shape)
{
    (void)shape;
    return 0;
}

/* One output channel at one output pixel, without bias. `x` is the image. */
static float dot(const struct conv_shape *s, const float *x, const float *w, int oy, int ox,
                 int group)
{
    int channels = s->in_c / s->groups;
    float sum = 0;
    for (int c = 0; c < channels; c++)
        for (int ky = 0; ky < s->kernel; ky++)
            for (int kx = 0; kx < s->kernel; kx++) {
                int iy = oy * s->stride - s->pad + ky, ix = ox * s->stride - s->pad + kx;
                if (iy < 0 || iy >= s->in_h || ix < 0 || ix >= s->in_w)
                    continue;
                size_t pixel = (size_t)iy * (size_t)s->in_w + (size_t)ix;
                size_t channel = (size_t)(group * channels + c);
                size_t tap = (size_t)((c * s->kernel + ky) * s->kernel + kx);
                sum += x[pixel * (size_t)s->in_c + channel] * w[tap];
            }
    return sum;
}

static void run(const struct conv_call *call)
{
    const struct conv_shape *s = call->shape;
    const float *weights = call->packed, *bias = weights + conv_weight_count(s);
    size_t taps = conv_weight_count(s) / (size_t)s->out_c;
    size_t image_in = (size_t)s->in_h * (size_t)s->in_w * (size_t)s->in_c;
    for (int row = call->row_begin; row < call->row_end; row++) {
        const float *image = call->x + (size_t)(row / s->out_h) * image_in;
        for (int ox = 0; ox < s->out_w; ox++) {
            size_t pixel = ((size_t)row * (size_t)s->out_w + (size_t)ox) * (size_t)s->out_c;
            for (int oc = 0; oc < s->out_c; oc++) {
                int group = oc / (s->out_c / s->groups);
                float v = dot(s, image, weights + (size_t)oc * taps, row % s->out_h, ox, group);
                v += bias[oc];
                if (call->residual)
                    v += call->residual[pixel + (size_t)oc];
                call->y[pixel + (size_t)oc] = call->relu && v < 0 ? 0 : v;
            }
        }
    }
}

const struct conv_kernel f32_conv__ref = {
    .name = "f32_conv__ref",
    .isa = "ref",
    .supports = supports,
    .packed_size = packed_size,
    .pack = pack,
    .scratch_size = scratch_size,
    .run = run,
};
