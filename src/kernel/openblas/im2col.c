#include <string.h>

#include "kernel/openblas/common.h"
#include "kernel/openblas/openblas.h"

/* Packed: weights [kernel][kernel][in_c][out_c], then bias [out_c]. */

/* Patches are gathered for so many pixels at once that they stay in L2, but for no fewer than are
 * worth the packing of the weights. */
enum { L2_FLOATS = 128 * 1024, LEAST_PIXELS = 32 };

static bool supports(const struct conv_shape *s)
{
    return s->groups == 1;
}

static size_t patch_size(const struct conv_shape *s)
{
    return (size_t)s->kernel * (size_t)s->kernel * (size_t)s->in_c;
}

static size_t packed_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    (void)self;
    return (patch_size(s) + 1) * (size_t)s->out_c * sizeof(float);
}

static void pack(const struct conv_kernel *self, const struct conv_shape *s,
                 const struct conv_weights *weights, void *packed)
{
    (void)self;
    size_t taps = (size_t)s->kernel * (size_t)s->kernel;
    size_t in = (size_t)s->in_c, out = (size_t)s->out_c;
    float *p = packed;
    for (size_t t = 0; t < taps; t++)
        for (size_t i = 0; i < in; i++)
            for (size_t o = 0; o < out; o++)
                *p++ = weights->weights[(o * in + i) * taps + t];
    memcpy(p, weights->bias, out * sizeof *p);
}

static size_t block_pixels(const struct conv_shape *s)
{
    size_t pixels = L2_FLOATS / (patch_size(s) + (size_t)s->out_c);
    return pixels < LEAST_PIXELS ? LEAST_PIXELS : pixels;
}

static size_t scratch_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    (void)self;
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

static void run_tile(const struct conv_call *call, int begin, int end)
{
    const struct conv_shape *s = call->shape;
    size_t k = patch_size(s), step = block_pixels(s), channels = (size_t)s->out_c;
    size_t first = (size_t)begin * (size_t)s->out_w, last = (size_t)end * (size_t)s->out_w;
    const float *weights = call->packed, *bias = weights + k * channels;
    const float *residual = call->residual;
    float *patches = call->scratch;
    for (size_t p = first; p < last; p += step) {
        size_t count = last - p < step ? last - p : step;
        float *y = (float *)call->y + p * channels;
        blas_prepare(y, bias, residual ? residual + p * channels : NULL, count, channels);
        for (size_t i = 0; i < count; i++)
            gather_patch(s, call->x, p + i, patches + i * k);
        blas_multiply_add(count, channels, k, patches, k, weights, channels, y, channels);
        if (call->relu)
            blas_relu(y, count * channels);
    }
}

static void run(const struct conv_kernel *self, const struct conv_call *call)
{
    (void)self;
    blas_run_tiles(call, run_tile);
}

const struct conv_kernel f32_im2col__openblas = {
    .name = "f32_im2col__openblas",
    .isa = "openblas",
    .precision = PRECISION_F32,
    .supports = supports,
    .packed_size = packed_size,
    .pack = pack,
    .tile_count = blas_tile_count,
    .scratch_size = scratch_size,
    .run = run,
};
