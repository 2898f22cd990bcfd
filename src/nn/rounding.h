/* The rounding of int8 weights that changes a layer's output least. */
#ifndef RESNEXT_NN_ROUNDING_H
#define RESNEXT_NN_ROUNDING_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Chooses between floor and next integer for the weights w of output channels that read the same
 * inputs x, so that the variance of their output's error, (w - q)^T C (w - q) with the covariance C
 * of x, becomes small: by Babai's nearest plane, as GPTQ does (arXiv 2210.17323; 2507.18553,
 * theorem 4). Weights are rounded one after the other, those of the strongest inputs first, and
 * each makes up for the errors of those before it.
 *
 * `covariance`, [inputs][inputs], has its upper triangle; it is overwritten. `exact`,
 * [outputs][inputs], are the weights in steps, as quantize_exactly has them. Sets bits of
 * `rounding`, which are 0 before, from number `first` on, as quantize_layer reads them. One thread.
 * ERR_NO_MEMORY. */
int rounding_choose(double *covariance, size_t inputs, const double *exact, size_t outputs,
                    uint8_t *rounding, size_t first, struct error *err);

/* The most bytes that rounding_choose allocates. */
size_t rounding_bytes(size_t inputs, size_t outputs);

#endif
