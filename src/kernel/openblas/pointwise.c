#include <string.h>

#include "kernel/openblas/common.h"
#include "kernel/openblas/openblas.h"

/* Packed: weights [in_c][out_c], then bias [out_c]. */

/* Fewer pixels than this a product, and packing the weights costs more than staying in L2 saves. */
enum { LEAST_PIXELS = 392 };

static bool supports(const struct conv_shape *s)
{
    return s->kernel == 1 && s->pad == 0 && s->groups == 1;
}

static size_t packed_size(const struct conv_shape *s)
{
    return ((size_t)s->in_c + 1) * (size_t)s->out_c * sizeof(float);
}

static void pack(const struct conv_shape *s, const float *weights, const float *bias, void *packed)
{
    size_t in = (size_t)s->in_c, out = (size_t)s->out_c;
    float *p = packed;
    blas_transpose(weights, out, in, in, p, out);
    memcpy(p + in * out, bias, out * sizeof *p);
}

static size_t block_pixels(const struct conv_shape *s)
{
    return blas_block_pixels((size_t)s->in_c + (size_t)s->out_c, LEAST_PIXELS);
}

static size_t scratch_size(const struct conv_shape *s)
{
    return s->stride == 1 ? 0 : block_pixels(s) * (size_t)s->in_c * sizeof(float);
}

/* Copies the inputs of `count` output pixels from `first` on, [count][in_c]. */
static void gather(const struct conv_shape *s, const float *x, size_t first, size_t count,
                   float *out)
{
    size_t width = (size_t)s->out_w, height = (size_t)s->out_h, stride = (size_t)s->stride;
    size_t channels = (size_t)s->in_c;
    for (size_t p = first; p < first + count; p++, out += channels) {
        size_t image = p / width / height, row = p / width % height, column = p % width;
        size_t y = image * (size_t)s->in_h + row * stride;
        memcpy(out, x + (y * (size_t)s->in_w + column * stride) * channels, channels * sizeof *out);
    }
}

static void run(const struct conv_call *call)
{
    const struct conv_shape *s = call->shape;
    size_t in = (size_t)s->in_c, out = (size_t)s->out_c, step = block_pixels(s);
    const float *weights = call->packed, *bias = weights + in * out;
    struct pixel_range range = blas_pixels(call);
    for (size_t p = range.begin; p < range.end; p += step) {
        size_t count = range.end - p < step ? range.end - p : step;
        const float *a = call->x + p * in;
        float *y = call->y + p * out;
        if (s->stride != 1) {
            gather(s, call->x, p, count, call->scratch);
            a = call->scratch;
        }
        blas_prepare(y, bias, call->residual ? call->residual + p * out : NULL, count, out);
        blas_multiply_add(count, out, in, a, in, weights, out, y, out);
        if (call->relu)
            blas_relu(y, count * out);
    }
}

const struct conv_kernel f32_pointwise__openblas = {
    .name = "f32_pointwise__openblas",
    .isa = "openblas",
    .supports = supports,
    .packed_size = packed_size,
    .pack = pack,
    .scratch_size = scratch_size,
    .run = run,
};
