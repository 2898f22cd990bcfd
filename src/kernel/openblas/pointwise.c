#include <string.h>

#include "kernel/openblas/common.h"
#include "kernel/openblas/openblas.h"

/* Packed: weights [in_c][out_c], then bias [out_c]. */

static bool supports(const struct conv_shape *s)
{
    return s->kernel == 1 && s->pad == 0 && s->groups == 1;
}

static size_t packed_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    (void)self;
    return ((size_t)s->in_c + 1) * (size_t)s->out_c * sizeof(float);
}

static void pack(const struct conv_kernel *self, const struct conv_shape *s,
                 const struct conv_weights *weights, void *packed)
{
    (void)self;
    size_t in = (size_t)s->in_c, out = (size_t)s->out_c;
    float *p = packed;
    blas_transpose(weights->weights, out, in, in, p, out);
    memcpy(p + in * out, weights->bias, out * sizeof *p);
}

static size_t scratch_size(const struct conv_kernel *self, const struct conv_shape *s)
{
    (void)self;
    return s->stride == 1 ? 0 : blas_tile_pixels(s) * (size_t)s->in_c * sizeof(float);
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

static void run_tile(const struct conv_call *call, int begin, int end)
{
    const struct conv_shape *s = call->shape;
    size_t in = (size_t)s->in_c, out = (size_t)s->out_c, width = (size_t)s->out_w;
    size_t first = (size_t)begin * width, count = (size_t)(end - begin) * width;
    const float *weights = call->packed, *bias = weights + in * out;
    const float *x = (const float *)call->x + first * in, *residual = call->residual;
    float *y = (float *)call->y + first * out;
    if (s->stride != 1) {
        gather(s, call->x, first, count, call->scratch);
        x = call->scratch;
    }
    blas_prepare(y, bias, residual ? residual + first * out : NULL, count, out);
    blas_multiply_add(count, out, in, x, in, weights, out, y, out);
    if (call->relu)
        blas_relu(y, count * out);
}

static void run(const struct conv_kernel *self, const struct conv_call *call)
{
    (void)self;
    blas_run_tiles(call, run_tile);
}

const struct conv_kernel f32_pointwise__openblas = {
    .name = "f32_pointwise__openblas",
    .isa = "openblas",
    .precision = PRECISION_F32,
    .supports = supports,
    .packed_size = packed_size,
    .pack = pack,
    .tile_count = blas_tile_count,
    .scratch_size = scratch_size,
    .run = run,
};
