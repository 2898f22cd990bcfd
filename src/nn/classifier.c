#include "nn/classifier.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "kernel/isa/generic.h"
#include "nn/quantize.h"

/* The upper and the lower half of a feature are two images; those of a weight, two channels. Four
 * lower halves of weights stay within CONV_QUAD_LIMIT. */
enum { HALVES = 2, FEATURE_MAX = 65535, BYTE_BITS = 8, LOWER_STEPS = 64 };
_Static_assert(4 * (LOWER_STEPS / 2) <= CONV_QUAD_LIMIT, "lower halves fit");

/* What the kernel computes. */
static struct conv_shape halves_of(const struct conv_shape *s)
{
    struct conv_shape halves = *s;
    halves.out_c *= HALVES;
    return halves;
}

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
    return arena_rounded(HALVES * HALVES * (size_t)s->out_c * sizeof(float));
}

size_t classifier_packed_size(const struct conv_kernel *kernel, const struct conv_shape *s)
{
    const struct conv_shape halves = halves_of(s);
    return bias_size(s) + kernel->method->packed_size(kernel, &halves);
}

size_t classifier_scratch_size(const struct conv_kernel *kernel, const struct conv_shape *s)
{
    const struct conv_shape halves = halves_of(s);
    return bytes_size(s) + sums_size(s) + kernel->method->scratch_size(kernel, &halves);
}

/* What a layer's shape needs to be packed; all floats are one block. */
struct halves {
    int8_t *quantized;          /* [HALVES][out_c][in_c] */
    float *multiplier, *offset; /* [HALVES][out_c] each; offsets are 0 */
    float *ones, *zeros;        /* [in_c] each: scales and zeros of the features */
    uint8_t *padding;           /* [in_c] */
};

static bool allocate(struct halves *h, const struct conv_shape *s)
{
    size_t outputs = (size_t)s->out_c, inputs = (size_t)s->in_c;
    h->quantized = malloc(HALVES * conv_weight_count(s));
    h->multiplier = calloc(2 * HALVES * outputs + 2 * inputs, sizeof *h->multiplier);
    h->padding = calloc(inputs, 1);
    if (!h->quantized || !h->multiplier || !h->padding)
        return false;
    h->offset = h->multiplier + HALVES * outputs;
    h->ones = h->offset + HALVES * outputs;
    h->zeros = h->ones + inputs;
    for (size_t c = 0; c < inputs; c++)
        h->ones[c] = 1;
    return true;
}

static void destroy(struct halves *h)
{
    free(h->quantized);
    free(h->multiplier);
    free(h->padding);
}

/* `upper` has the weights rounded to whole steps; the lower halves are what is left. */
static void split_weights(const struct conv_shape *s, const float *weights,
                          const struct conv_weights *upper, struct halves *h)
{
    size_t count = conv_weight_count(s), outputs = (size_t)s->out_c, inputs = (size_t)s->in_c;
    memcpy(h->quantized, upper->quantized, count);
    for (size_t o = 0; o < outputs; o++) {
        double step = (double)upper->multiplier[o];
        for (size_t i = o * inputs; i < (o + 1) * inputs; i++)
            h->quantized[count + i] =
                (int8_t)rint(((double)weights[i] / step - upper->quantized[i]) * LOWER_STEPS);
        h->multiplier[o] = upper->multiplier[o];
        h->multiplier[outputs + o] = upper->multiplier[o] / LOWER_STEPS;
    }
}

static void pack_halves(const struct conv_kernel *kernel, const struct conv_shape *s,
                        const struct halves *h, void *packed)
{
    const struct conv_shape shape = halves_of(s);
    const struct conv_weights weights = {.quantized = h->quantized,
                                         .multiplier = h->multiplier,
                                         .offset = h->offset,
                                         .padding = h->padding};
    kernel->method->pack(kernel, &shape, &weights, (unsigned char *)packed + bias_size(s));
}

int classifier_pack(const struct conv_kernel *kernel, const struct layer *layer,
                    const float *weights, const float *bias, void *packed, struct error *err)
{
    const struct conv_shape *s = &layer->shape;
    struct conv_weights upper;
    struct halves h = {0};
    if (!allocate(&h, s)) {
        destroy(&h);
        return error_set(err, ERR_NO_MEMORY, "no memory to quantise layer %s", layer->name);
    }
    const struct quantization features = {h.ones, h.zeros, NULL};
    int code = quantize_layer(layer, weights, bias, NULL, &features, NULL, NULL, &upper, err);
    if (code == ERR_OK) {
        split_weights(s, weights, &upper, &h);
        pack_halves(kernel, s, &h, packed);
        memcpy(packed, bias, (size_t)s->out_c * sizeof *bias);
        quantize_destroy(&upper);
    }
    destroy(&h);
    return code;
}

/* Returns the largest. */
static float max_of(const float *x, size_t count)
{
    vecf lanes = {0};
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        lanes = vec_max(vecf_load(x + i), lanes);
    float max = 0;
    for (size_t l = 0; l < LANES; l++)
        max = lanes[l] > max ? lanes[l] : max;
    for (; i < count; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

/* The lowest bits of a float32 with the exponent of 2^23 are an integer. */
static vec step_of(vecf x, float steps)
{
    const vecf most = (vecf){0} + FEATURE_MAX;
    vecf number = x * steps;
    return (vec)(vec_select(number > most, most, number) + 0x1p23F);
}

/* Returns the size of a step. */
static float split_features(const float *x, size_t count, uint8_t *upper, uint8_t *lower)
{
    float max = max_of(x, count), steps = max < FLT_MIN ? 0 : FEATURE_MAX / max;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        vec step = step_of(vecf_load(x + i), steps);
        vec_bytes halves[HALVES] = {__builtin_convertvector(step >> BYTE_BITS & 255, vec_bytes),
                                    __builtin_convertvector(step & 255, vec_bytes)};
        memcpy(upper + i, &halves[0], LANES);
        memcpy(lower + i, &halves[1], LANES);
    }
    for (; i < count; i++) {
        vec step = step_of((vecf){x[i]}, steps);
        upper[i] = (uint8_t)(step[0] >> BYTE_BITS);
        lower[i] = (uint8_t)step[0];
    }
    return max / FEATURE_MAX;
}

void classifier_run(const struct conv_kernel *kernel, const struct conv_shape *s,
                    const void *packed, const float *x, float *y, void *scratch)
{
    const struct conv_shape shape = halves_of(s);
    unsigned char *at = scratch;
    float *sums = (float *)(void *)(at + bytes_size(s));
    const float *bias = packed;
    size_t classes = (size_t)s->out_c;
    float step = split_features(x, (size_t)s->in_c, at, at + s->in_c);
    kernel->method->run(kernel, &(struct conv_call){
                                    .shape = &shape,
                                    .packed = (const unsigned char *)packed + bias_size(s),
                                    .x = at,
                                    .y = sums,
                                    .output = CONV_OUTPUT_FLOAT,
                                    .images = HALVES,
                                    .tile_end = kernel->method->tile_count(kernel, &shape, HALVES),
                                    .scratch = at + bytes_size(s) + sums_size(s),
                                });
    const float *lower = sums + HALVES * classes; /* of features; both halves of weights */
    for (size_t c = 0; c < classes; c++)
        y[c] = ((sums[c] + sums[classes + c]) * (1 << BYTE_BITS) + lower[c] + lower[classes + c]) *
                   step +
               bias[c];
}
