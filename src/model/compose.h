/* Multiplies the weights of attention's first layer with those of the convolution whose output it
 * reads, so that it can read the convolution's input instead: see nn/attention.h. */
#ifndef RESNEXT_MODEL_COMPOSE_H
#define RESNEXT_MODEL_COMPOSE_H

#include "base/error.h"
#include "nn/layer.h"

/* The folded convolution z = weights x + bias: weights [channels][in_c][taps], bias [channels]. */
struct affine {
    const float *weights, *bias;
    int channels, in_c, taps;
};

/* y = own z + bias becomes y = out x + bias, where out is [rows][taps][in_c], for own
 * [rows][z->channels]; `bias` [rows] is changed. ERR_MODEL_INVALID if a result is no finite
 * float32. */
int compose_dense(const struct affine *z, const float *own, int rows, float *out, float *bias,
                  struct error *err);

/* The same for a convolution over neighbouring channels, own [kernel], with zero padding, which has
 * as many rows as z has channels and no bias: `bias` is written. */
int compose_band(const struct affine *z, const float *own, int kernel, float *out, float *bias,
                 struct error *err);

#endif
