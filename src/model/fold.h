/* Folds batch norm into the convolution before it. */
#ifndef RESNEXT_MODEL_FOLD_H
#define RESNEXT_MODEL_FOLD_H

#include <stddef.h>

#include "base/error.h"

/* The numbers of one batch norm, [channels] each. */
struct batch_norm {
    const float *weight, *bias, *mean, *variance;
};

/* In double: weights[c][i] *= s and bias[c] = norm.bias - norm.mean * s, where
 * s = norm.weight / sqrt(norm.variance + 1e-5). `weights` is [channels][each]; `bias` is written.
 * ERR_MODEL_INVALID if a variance is negative or a result is no finite float32. */
int fold_batch_norm(const struct batch_norm *norm, size_t channels, size_t each, float *weights,
                    float *bias, struct error *err);

#endif
