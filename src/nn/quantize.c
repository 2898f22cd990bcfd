#include "nn/quantize.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "kernel/quantize.h"

enum { FACTORS = 4, LARGEST = 127, LARGEST_BYTE = 255, LANES = 4, QUAD = 4, OCTET = 8 };

/* The input channels of one output channel: as in struct quantization, but for `mean`, which is in
 * steps of the channel, and 0 if it is unknown. */
struct inputs {
    const float *scale, *zero;
    const double *mean;
};

/* The arrays of a struct conv_weights, while they are written; they follow each other in memory. */
struct arrays {
    float *multiplier, *offset, *residual_multiplier, *gated_offset;
    int8_t *quantized;
    uint8_t *padding;
};

/* The arrays in `block`, FACTORS * channels floats and then `count` weights. */
static struct arrays arrays_of(float *block, size_t channels, size_t count)
{
    int8_t *quantized = (int8_t *)(block + FACTORS * channels);
    return (struct arrays){
        .multiplier = block,
        .offset = block + channels,
        .residual_multiplier = block + 2 * channels,
        .gated_offset = block + 3 * channels,
        .quantized = quantized,
        .padding = (uint8_t *)quantized + count,
    };
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* To the nearest integer, ties to even, of numbers up to 2^51: a large number leaves no space for a
 * fraction. (rint is a call on CPUs without SSE4.1.) */
static double nearest(double number)
{
    const double large = 0x1.8p52;
    return number + large - large;
}

/* Without branches, which could not be foreseen. */
int quantize_floor(double exact)
{
    int toward_zero = (int)exact;
    return toward_zero - (exact < toward_zero);
}

int quantize_clamp(int rounded)
{
    rounded = rounded > LARGEST ? LARGEST : rounded;
    return rounded < -LARGEST ? -LARGEST : rounded;
}

/* The rounding of an output channel: bit `first` is that of its first weight. */
struct bits {
    const uint8_t *bytes; /* NULL: to the nearest */
    size_t first;
};

static inline double round_weight(double exact, const struct bits *bits, size_t i)
{
    if (!bits->bytes)
        return nearest(exact);
    size_t at = bits->first + i;
    return quantize_clamp(quantize_floor(exact) + (bits->bytes[at / 8] >> at % 8 & 1));
}

/* Sums over the weights of an output channel: weight * zero, rounding error * mean, and |weight|.
 */
struct sums {
    double zeros, errors, size;
};

/* Weight `i`, which reads channel `c`, in steps. */
static inline double exact_weight(const float *weights, const struct inputs *x, size_t i, size_t c,
                                  double steps)
{
    return weights[i] * (x->scale[c] * steps);
}

static inline void quantize_weight(const float *weights, const struct inputs *x, size_t i, size_t c,
                                   double steps, const struct bits *bits, int8_t *out,
                                   struct sums *sums)
{
    double exact = exact_weight(weights, x, i, c, steps), rounded = round_weight(exact, bits, i);
    out[i] = (int8_t)rounded;
    sums->zeros += rounded * x->zero[c];
    sums->errors += (rounded - exact) * x->mean[c];
    sums->size += fabs(rounded);
}

/* The weights of a 1x1 kernel, which are most of a network's. Each lane has its own sums, because
 * dependent additions would wait for each other. */
static struct sums quantize_pointwise(const float *weights, const struct inputs *x, size_t channels,
                                      double steps, const struct bits *bits, int8_t *out)
{
    struct sums lanes[LANES] = {{0}};
    size_t c = 0;
    for (; c + LANES <= channels; c += LANES)
        for (size_t l = 0; l < LANES; l++)
            quantize_weight(weights, x, c + l, c + l, steps, bits, out, &lanes[l]);
    for (; c < channels; c++)
        quantize_weight(weights, x, c, c, steps, bits, out, &lanes[0]);
    for (size_t l = 1; l < LANES; l++) {
        lanes[0].zeros += lanes[l].zeros;
        lanes[0].errors += lanes[l].errors;
        lanes[0].size += lanes[l].size;
    }
    return lanes[0];
}

static struct sums quantize_taps(const float *weights, const struct inputs *x, size_t channels,
                                 size_t taps, double steps, const struct bits *bits, int8_t *out)
{
    struct sums sums = {0};
    for (size_t c = 0, i = 0; c < channels; c++)
        for (size_t k = 0; k < taps; k++, i++)
            quantize_weight(weights, x, i, c, steps, bits, out, &sums);
    return sums;
}

/* The size of a step with which the largest weight fits. */
static double taps_step(const float *weights, const struct inputs *x, size_t channels, size_t taps)
{
    double max = 0;
    for (size_t c = 0, i = 0; c < channels; c++)
        for (size_t k = 0; k < taps; k++, i++)
            max = larger(max, fabs((double)weights[i] * x->scale[c]));
    return max / LARGEST;
}

/* The larger of the sums of weights of one sign in the two quads of 8 channels. */
static inline double octet_quad(const double weights[OCTET])
{
    double sums[QUAD], sizes[QUAD];
    for (size_t i = 0; i < QUAD; i++) {
        sums[i] = weights[i] + weights[i + QUAD];
        sizes[i] = fabs(weights[i]) + fabs(weights[i + QUAD]);
    }
    return larger(sizes[0] + sizes[1] + fabs(sums[0] + sums[1]),
                  sizes[2] + sizes[3] + fabs(sums[2] + sums[3])) /
           2;
}

/* The size of a step with which the quads of a 1x1 kernel fit, if rounding adds at most `added`
 * steps to a quad. */
static double pointwise_step(const float *weights, const struct inputs *x, size_t channels,
                             int added)
{
    double max = 0, octet[OCTET];
    size_t c = 0;
    for (; c + OCTET <= channels; c += OCTET) {
        for (size_t i = 0; i < OCTET; i++)
            octet[i] = (double)weights[c + i] * x->scale[c + i];
        max = larger(max, octet_quad(octet));
    }
    for (size_t i = 0; i < OCTET; i++)
        octet[i] = c + i < channels ? (double)weights[c + i] * x->scale[c + i] : 0;
    return larger(max, octet_quad(octet)) / (CONV_QUAD_LIMIT - added);
}

/* The size of a step of an output channel's weights, which are [channels][taps]; not finite if
 * there is none. A rounding that is `given` may add a whole step to each weight. */
static float channel_step(const float *weights, const struct inputs *x, size_t channels,
                          size_t taps, bool given)
{
    float step = (float)(taps == 1 ? pointwise_step(weights, x, channels, given ? QUAD : QUAD / 2)
                                   : taps_step(weights, x, channels, taps));
    return step < FLT_MIN ? 1 : step; /* nothing but zeros, or as good as */
}

/* The weights of one output channel, [channels][taps], with the scales of these input channels
 * multiplied in. Returns the size of a step of a quantised weight. It is not finite if there is
 * none, or if a sum of products might not fit into 32 bits; `*shift` becomes what the input's zeros
 * and the rounding add to the sum. */
static float quantize_channel(const float *weights, const struct inputs *x, size_t channels,
                              size_t taps, const struct bits *bits, int8_t *out, double *shift)
{
    float step = channel_step(weights, x, channels, taps, bits->bytes != NULL);
    if (!isfinite(step))
        return step;
    double steps = 1 / (double)step;
    struct sums sums = taps == 1 ? quantize_pointwise(weights, x, channels, steps, bits, out)
                                 : quantize_taps(weights, x, channels, taps, steps, bits, out);
    *shift = (sums.zeros + sums.errors) * (double)step;
    return sums.size * LARGEST_BYTE <= INT32_MAX ? step : INFINITY;
}

/* False if a factor is not finite, or a convolution's sum times its multiplier might not be. */
static bool fill(const struct layer *layer, const float *weights, const float *bias,
                 const uint8_t *rounding, const struct inputs *x, const struct quantization *y,
                 const struct quantization *residual, const struct arrays *out)
{
    const struct conv_shape *s = &layer->shape;
    size_t channels = (size_t)(s->in_c / s->groups), taps = (size_t)(s->kernel * s->kernel);
    size_t each = channels * taps, group_out = (size_t)(s->out_c / s->groups);
    for (size_t o = 0; o < (size_t)s->out_c; o++) {
        size_t first = o / group_out * channels;
        const struct inputs inputs = {x->scale + first, x->zero + first, x->mean + first};
        const struct bits bits = {rounding, o * each};
        double shift = 0, y_scale = y ? y->scale[o] : 1, y_zero = y ? y->zero[o] : 0;
        float step = quantize_channel(weights + o * each, &inputs, channels, taps, &bits,
                                      out->quantized + o * each, &shift);
        out->multiplier[o] = (float)(step / y_scale);
        out->residual_multiplier[o] = residual ? (float)(residual->scale[o] / y_scale) : 0;
        if (residual)
            y_zero -= (double)residual->zero[o] * out->residual_multiplier[o];
        double number = (bias[o] - shift) / y_scale;
        out->offset[o] = (float)(layer->gate ? number : number + y_zero);
        out->gated_offset[o] = (float)(layer->gate ? y_zero : 0);
        float max_sum = layer->kind == LAYER_CONV ? (float)INT32_MAX : 1;
        float largest = fabsf(out->offset[o]) + out->multiplier[o] * max_sum;
        if (!isfinite(largest + out->residual_multiplier[o] + out->gated_offset[o]))
            return false;
    }
    for (size_t c = 0; c < (size_t)s->in_c; c++)
        out->padding[c] = (uint8_t)lrintf(x->zero[c]);
    return true;
}

/* NULL: no memory. */
static double *means_in_steps(const struct quantization *x, size_t channels)
{
    double *means = calloc(channels, sizeof *means);
    for (size_t c = 0; means && x->mean && c < channels; c++)
        means[c] = (double)x->mean[c] / (double)x->scale[c];
    return means;
}

bool quantize_exactly(const struct layer *layer, const float *weights, const struct quantization *x,
                      size_t o, double *out)
{
    const struct conv_shape *s = &layer->shape;
    size_t channels = (size_t)(s->in_c / s->groups), taps = (size_t)(s->kernel * s->kernel);
    const struct inputs inputs = {x->scale + o / (size_t)(s->out_c / s->groups) * channels, NULL,
                                  NULL};
    const float *own = weights + o * channels * taps;
    float step = channel_step(own, &inputs, channels, taps, true);
    if (!isfinite(step))
        return false;
    double steps = 1 / (double)step;
    for (size_t i = 0; i < channels * taps; i++)
        out[i] = exact_weight(own, &inputs, i, i / taps, steps);
    return true;
}

int quantize_layer(const struct layer *layer, const float *weights, const float *bias,
                   const uint8_t *rounding, const struct quantization *x,
                   const struct quantization *y, const struct quantization *residual,
                   struct conv_weights *out, struct error *err)
{
    const struct conv_shape *s = &layer->shape;
    size_t channels = (size_t)s->out_c, in_channels = (size_t)s->in_c, count = conv_weight_count(s);
    float *block = malloc(FACTORS * channels * sizeof *block + count + in_channels);
    double *means = means_in_steps(x, in_channels);
    if (!block || !means) {
        free(block);
        free(means);
        return error_set(err, ERR_NO_MEMORY, "no memory to quantise layer %s", layer->name);
    }
    const struct arrays a = arrays_of(block, channels, count);
    const struct inputs inputs = {x->scale, x->zero, means};
    bool filled = fill(layer, weights, bias, rounding, &inputs, y, residual, &a);
    free(means);
    *out = (struct conv_weights){
        .quantized = a.quantized,
        .multiplier = a.multiplier,
        .offset = a.offset,
        .residual_multiplier = a.residual_multiplier,
        .gated_offset = layer->gate ? a.gated_offset : NULL,
        .padding = a.padding,
    };
    if (filled)
        return ERR_OK;
    quantize_destroy(out);
    return error_set(err, ERR_MODEL_UNSUPPORTED,
                     "layer %s: weights and scales are too large or too small, or its inputs "
                     "too many, for int8; use another precision",
                     layer->name);
}

void quantize_destroy(struct conv_weights *w)
{
    free((void *)w->multiplier);
    *w = (struct conv_weights){0};
}

double quantize_output_reach(const struct conv_shape *s, const struct conv_weights *w,
                             double residual)
{
    size_t outputs = (size_t)s->out_c, each = conv_weight_count(s) / outputs;
    double max = 0;
    for (size_t o = 0; o < outputs; o++) {
        const struct requantization f = requantization_of(w, o);
        int size = 0; /* fits, as sums of products do */
        for (size_t i = o * each; i < (o + 1) * each; i++)
            size += abs(w->quantized[i]);
        max = larger(max, fabs((double)f.multiplier) * LARGEST_BYTE * (double)size +
                              fabs((double)f.offset) + fabs((double)f.gated_offset) +
                              fabs((double)f.residual_multiplier) * residual);
    }
    return max;
}

double quantize_reach(const struct quantization *q, size_t channels)
{
    double max = 0;
    for (size_t c = 0; c < channels; c++) {
        double zero = (double)q->zero[c];
        max = larger(max, (double)q->scale[c] * larger(zero, LARGEST_BYTE - zero));
    }
    return max;
}
