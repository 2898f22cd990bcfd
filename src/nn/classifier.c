#include "nn/classifier.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"

enum { HALVES = 2, STEPS = 65535, BYTE_BITS = 8 };

/* The bias comes first, then what the kernel packed. */
static size_t bias_size(const struct conv_shape *s)
{
    return arena_rounded((size_t)s->out_c * sizeof(float));
}

/* In scratch: the bytes of both halves, their sums, and the kernel's scratch. */
static size_t bytes_size(const struct conv_shape *s)
{
    return arena_rounded(HALVES * (size_t)s->in_c + KERNEL_OVERREAD);
}

static size_t sums_size(const struct conv_shape *s)
{
    return arena_rounded(HALVES * (size_t)s->out_c * sizeof(float));
}

size_t classifier_packed_size(const struct conv_kernel *kernel, const struct conv_shape *s)
{
    return bias_size(s) + kernel->method->packed_size(kernel, s);
}

size_t classifier_scratch_size(const struct conv_kernel *kernel, const struct conv_shape *s)
{
    return bytes_size(s) + sums_size(s) + kernel->method->scratch_size(kernel, s);
}

void classifier_pack(const struct conv_kernel *kernel, const struct conv_shape *s,
                     const struct conv_weights *weights, void *packed)
{
    struct conv_weights without_bias = *weights;
    float *bias = packed;
    /* What the kernel adds must not be added twice. */
    memset(bias, 0, (size_t)s->out_c * sizeof *bias);
    without_bias.offset = bias;
    kernel->method->pack(kernel, s, &without_bias, (unsigned char *)packed + bias_size(s));
    memcpy(bias, weights->offset, (size_t)s->out_c * sizeof *bias);
}

/* Returns the size of a step. */
static float split(const float *x, size_t count, uint8_t *upper, uint8_t *lower)
{
    float max = 0;
    for (size_t i = 0; i < count; i++)
        max = x[i] > max ? x[i] : max;
    float steps = max < FLT_MIN ? 0 : STEPS / max;
    for (size_t i = 0; i < count; i++) {
        unsigned int step = (unsigned int)lrintf(fminf(x[i] * steps, STEPS));
        upper[i] = (uint8_t)(step >> BYTE_BITS);
        lower[i] = (uint8_t)step;
    }
    return max / STEPS;
}

void classifier_run(const struct conv_kernel *kernel, const struct conv_shape *s,
                    const void *packed, const float *x, float *y, void *scratch)
{
    unsigned char *at = scratch;
    uint8_t *halves = at;
    float *sums = (float *)(void *)(at + bytes_size(s));
    const float *bias = packed;
    size_t classes = (size_t)s->out_c;
    float step = split(x, (size_t)s->in_c, halves, halves + s->in_c);
    kernel->method->run(kernel, &(struct conv_call){
                                    .shape = s,
                                    .packed = (const unsigned char *)packed + bias_size(s),
                                    .x = halves,
                                    .y = sums,
                                    .y_float = true,
                                    .images = HALVES,
                                    .tile_end = kernel->method->tile_count(kernel, s, HALVES),
                                    .scratch = at + bytes_size(s) + sums_size(s),
                                });
    for (size_t c = 0; c < classes; c++)
        y[c] = fmaf(fmaf(sums[c], 1 << BYTE_BITS, sums[classes + c]), step, bias[c]);
}
