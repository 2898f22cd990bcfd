/* From float weights and the scales of activations to what an int8 kernel packs. */
#ifndef RESNEXT_NN_QUANTIZE_H
#define RESNEXT_NN_QUANTIZE_H

#include "base/error.h"
#include "nn/layer.h"

/* What the bytes of a value stand for: byte q of channel c is scale[c] * (q - zero[c]). Scales are
 * positive, zeros 0..255. mean[c] is what the channel is on average, over all pixels; NULL if that
 * is not known. The arrays [channels] stay their owner's. */
struct quantization {
    const float *scale, *zero, *mean;
};

/* Quantises the weights of a layer for each output channel to what struct conv_weights allows, with
 * the input's scales multiplied in, and makes the factors that turn a sum into a byte of y (into a
 * number, if `y` is NULL), with `residual` (or NULL) added. What rounding the weights takes from an
 * output on average - each weight's error times the mean of its input - is given back with the
 * bias. `out` is the caller's and needs quantize_destroy. ERR_MODEL_UNSUPPORTED if weights and
 * scales make a number that float32 cannot hold or sums that int32 cannot, ERR_NO_MEMORY. */
int quantize_layer(const struct layer *layer, const float *weights, const float *bias,
                   const struct quantization *x, const struct quantization *y,
                   const struct quantization *residual, struct conv_weights *out,
                   struct error *err);
void quantize_destroy(struct conv_weights *weights);

#endif
