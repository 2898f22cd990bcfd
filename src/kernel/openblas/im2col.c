#include <string.h>

#include "kernel/openblas/common.h"
#include "kernel/openblas/openblas.h"

/* Packed: weights [groups][kernel][kernel][in_c / groups][out_c / groups], then bias [out_c]. */

enum { LEAST_PIXELS = 32 };

static bool supports(const struct conv_shape *shape)
{
    (void)shape;
    return true;
}

static size_t patch_size(const struct conv_shape *s)
{
    return (size_t)s->kernel * (size_t)s->kernel * (size_t)(s->in_c / s->groups);
}

static size_t packed_size(const struct conv_shape *s)
{
    return (patch_size(s) + 1) * (size_t)s->out_c * sizeof(float);
}

static void pack(const struct conv_shape *s, const float *weights, const float *bias, void *packed)
{
    size_t taps = (size_t)s->kernel * (size_t)s->kernel;
    size_t in = (size_t)(s->in_c / s->groups), out = (size_t)(s->out_c / s->groups);
    float *p = packed;
    for (size_t g = 0; g < (size_t)s->groups; g++)
        for (size_t t = 0; t < taps; t++)
            for (size_t i = 0; i < in; i++)
                for (size_t o = 0; o < out; o++)
                    *p++ = weights[((g * out + o) * in + i) * taps + t];
    memcpy(p, bias, (size_t)s->out_c * sizeof *p);
}

static size_t block_pixels(const struct conv_shape *s)
{
    return blas_block_pixels(patch_size(s) + (size_t)(s->out_c / s->groups), LEAST_PIXELS);
}

static size_t scratch_size(const struct conv_shape *s)
{
    return block_pixels(s) * patch_size(s) * sizeof(float);
}

/* One line of a patch, [kernel][d], from input line `x` (NULL: outside the image) and column `left`
 * on. With one group the columns lie side by side and are copied at once. */
static void gather_line(const struct conv_shape *s, const float *x, int left, float *line)
{
    size_t d = (size_t)(s->in_c / s->groups);
    int first = left < 0 ? -left : 0;
    int last = left + s->kernel > s->in_w ? s->in_w - left : s->kernel;
    if (!x || first >= last) {
        memset(line, 0, (size_t)s->kernel * d * sizeof *line);
        return;
    }
    memset(line, 0, (size_t)first * d * sizeof *line);
    const float *from = x + (size_t)(left + first) * (size_t)s->in_c;
    if (s->groups == 1) {
        memcpy(line + (size_t)first * d, from, (size_t)(last - first) * d * sizeof *line);
    } else {
        for (int c = first; c < last; c++, from += s->in_c)
            memcpy(line + (size_t)c * d, from, d * sizeof *line);
    }
    memset(line + (size_t)last * d, 0, (size_t)(s->kernel - last) * d * sizeof *line);
}

/* The patch of one output pixel in one group: [kernel][kernel][d], 0 outside the image. */
static void gather_patch(const struct conv_shape *s, const float *x, size_t pixel, size_t group,
                         float *patch)
{
    size_t d = (size_t)(s->in_c / s->groups), width = (size_t)s->out_w, height = (size_t)s->out_h;
    size_t line = (size_t)s->in_w * (size_t)s->in_c;
    const float *image = x + pixel / width / height * (size_t)s->in_h * line + group * d;
    int top = (int)(pixel / width % height) * s->stride - s->pad;
    int left = (int)(pixel % width) * s->stride - s->pad;
    for (int y = top; y < top + s->kernel; y++, patch += (size_t)s->kernel * d) {
        bool inside = y >= 0 && y < s->in_h;
        gather_line(s, inside ? image + (size_t)y * line : NULL, left, patch);
    }
}

static void run(const struct conv_call *call)
{
    const struct conv_shape *s = call->shape;
    size_t k = patch_size(s), step = block_pixels(s), channels = (size_t)s->out_c;
    size_t groups = (size_t)s->groups, n = channels / groups;
    const float *weights = call->packed, *bias = weights + k * channels;
    float *patches = call->scratch;
    struct pixel_range range = blas_pixels(call);
    for (size_t p = range.begin; p < range.end; p += step) {
        size_t count = range.end - p < step ? range.end - p : step;
        float *y = call->y + p * channels;
        blas_prepare(y, bias, call->residual ? call->residual + p * channels : NULL, count,
                     channels);
        for (size_t g = 0; g < groups; g++) {
            for (size_t i = 0; i < count; i++)
                gather_patch(s, call->x, p + i, g, patches + i * k);
            blas_multiply_add(count, n, k, patches, k, weights + g * k * n, n, y + g * n, channels);
        }
        if (call->relu)
            blas_relu(y, count * channels);
    }
}

const struct conv_kernel f32_im2col__openblas = {
    .name = "f32_im2col__openblas",
    .isa = "openblas",
    .supports = supports,
    .packed_size = packed_size,
    .pack = pack,
    .scratch_size = scratch_size,
    .run = run,
};
