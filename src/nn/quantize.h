/* Quantises float weights for an int8 kernel. */
#ifndef RESNEXT_NN_QUANTIZE_H
#define RESNEXT_NN_QUANTIZE_H

#include "base/error.h"
#include "nn/layer.h"

/* The meaning of a value's bytes: byte q of channel c is scale[c] * (q - zero[c]). Scales are
 * positive, zeros 0..255. mean[c] is the channel's mean over all pixels; `mean` is NULL if it is
 * not known. The owner keeps the arrays [channels]. */
struct quantization {
    const float *scale, *zero, *mean;
};

/* Quantises the weights of a layer for each output channel to what struct conv_weights allows, with
 * the input's scales multiplied in, and makes the factors that turn a sum into a byte of y (into a
 * number, if `y` is NULL), with `residual` (or NULL) added; the layer may have a gate. The bias
 * corrects the mean error of an output that comes from rounding its weights: the sum of each
 * weight's error times the mean of its input.
 *
 * `rounding` (NULL: each weight to the nearest integer) has a bit for each weight, in their order:
 * bit i % 8 of byte i / 8 is 0 if weight i, in steps, becomes its floor, and 1 if it becomes the
 * next integer. Any bits are allowed: what would leave -127..127 is clamped, and the steps of a 1x1
 * kernel leave room.
 *
 * After ERR_OK the caller calls quantize_destroy.
 * ERR_MODEL_UNSUPPORTED if weights and scales make a number that float32 cannot hold or sums that
 * int32 cannot, ERR_NO_MEMORY. */
int quantize_layer(const struct layer *layer, const float *weights, const float *bias,
                   const uint8_t *rounding, const struct quantization *x,
                   const struct quantization *y, const struct quantization *residual,
                   struct conv_weights *out, struct error *err);
void quantize_destroy(struct conv_weights *weights);

/* The weights of output channel `o` in steps, as quantize_layer rounds them with a `rounding`:
 * [in_c / groups][kernel][kernel]. False if they are too large or too small. */
bool quantize_exactly(const struct layer *layer, const float *weights, const struct quantization *x,
                      size_t o, double *out);

/* The floor of a weight in steps, and the clamp to what an int8 weight may be. */
int quantize_floor(double exact);
int quantize_clamp(int rounded);

/* The largest size of an output of any bytes before it is rounded and clipped, if no residual is
 * larger than `residual` in size and no gate than 1. */
double quantize_output_reach(const struct conv_shape *shape, const struct conv_weights *weights,
                             double residual);

/* The largest size of a number that the bytes of these channels can stand for. */
double quantize_reach(const struct quantization *q, size_t channels);

#endif
