#include <string.h>

#include "kernel/openblas/common.h"
#include "kernel/openblas/openblas.h"

/* Packed: weights [kernel][kernel][in_c][out_c], then bias [out_c]. */

enum { LEAST_PIXELS = 32 };

static bool supports(const struct conv_shape *s)
{
    return s->groups == 1;
}

static size_t patch_size(const struct conv_shape *s)
{
    return (size_t)s->kernel * (size_t)s->kernel * (size_t)s->in_c;
}

static size_t packed_size(const struct conv_shape *s)
{
    return (patch_size(s) + 1) * (size_t)s->out_c * sizeof(float);
}

static void pack(const struct conv_shape *s, const float *weights, const float *bias, void *packed)
{
    size_t taps = (size_t)s->kernel * (size_t)s->kernel;
    size_t in = (size_t)s->in_c, out = (size_t)s->out_c;
    float *p = packed;
    for (size_t t = 0; t < taps; t++)
        for (size_t i = 0; i < in; i++)
            for (size_t o = 0; o < out; o++)
                *p++ = weights[(o * in + i) * taps + t];
    memcpy(p, bias, out * sizeof *p);
}

static size_t block_pixels(const struct conv_shape *s)
{
    return blas_block_pixels(patch_size(s) + (size_t)s->out_c, LEAST_PIXELS);
}

static size_t scratch_size(const struct conv_shape *s)
{
    return block_pixels(s) * patch_size(s) * sizeof(float);
}

/* One line of a patch, [kernel][in_c], from input line `x` (NULL: outside the image) and column
 * `left` on. */
static void gather_line(const struct conv_shape *s, const float *x, int left, float *line)
{
    size_t channels = (size_t)s->in_c;
    int first = left < 0 ? -left : 0;
    int last = left + s->kernel > s->in_w ? s->in_w - left : s->kernel;
    if (!x || first >= last) {
        memset(line, 0, (size_t)s->kernel * channels * sizeof *line);
        return;
    }
    memset(line, 0, (size_t)first * channels * sizeof *line);
    memcpy(line + (size_t)first * channels, x + (size_t)(left + first) * channels,
           (size_t)(last - first) * channels * sizeof *line);
    memset(line + (size_t)last * channels, 0, (size_t)(s->kernel - last) * channels * sizeof *line);
}

/* The patch of one output pixel: [kernel][kernel][in_c], 0 outside the image. */
static void gather_patch(const struct conv_shape *s, const float *x, size_t pixel, float *patch)
{
    size_t width = (size_t)s->out_w, height = (size_t)s->out_h;
    size_t line = (size_t)s->in_w * (size_t)s->in_c;
    const float *image = x + pixel / width / height * (size_t)s->in_h * line;
    int top = (int)(pixel / width % height) * s->stride - s->pad;
    int left = (int)(pixel % width) * s->stride - s->pad;
    for (int y = top; y < top + s->kernel; y++, patch += s->kernel * s->in_c) {
        bool inside = y >= 0 && y < s->in_h;
        gather_line(s, inside ? image + (size_t)y * line : NULL, left, patch);
    }
}

static void run(const struct conv_call *call)
{
    const struct conv_shape *s = call->shape;
    size_t k = patch_size(s), step = block_pixels(s), channels = (size_t)s->out_c;
    const float *weights = call->packed, *bias = weights + k * channels;
    float *patches = call->scratch;
    struct pixel_range range = blas_pixels(call);
    for (size_t p = range.begin; p < range.end; p += step) {
        size_t count = range.end - p < step ? range.end - p : step;
        float *y = call->y + p * channels;
        blas_prepare(y, bias, call->residual ? call->residual + p * channels : NULL, count,
                     channels);
        for (size_t i = 0; i < count; i++)
            gather_patch(s, call->x, p + i, patches + i * k);
        blas_multiply_add(count, channels, k, patches, k, weights, channels, y, channels);
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
