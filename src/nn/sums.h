/* Sums over pixels of NHWC activations. */
#ifndef RESNEXT_NN_SUMS_H
#define RESNEXT_NN_SUMS_H

#include "kernel/element.h"

enum { SUMS_CHANNELS = 64 };

/* Strips of at most SUMS_CHANNELS channels, which are summed by themselves. */
int sums_strips(int channels);

/* Adds `pixels` pixels, `step` elements apart, to the sums of `count` channels; x is the first
 * channel of the first pixel. Bytes are added exactly. Others are added in float32 over 8 pixels at
 * a time, and these sums in double: the mean of a map of any size is then off by at most 5e-7 of
 * the mean magnitude of its numbers. */
void sums_add(enum precision precision, const void *x, size_t step, size_t pixels, size_t count,
              double sums[SUMS_CHANNELS]);

#endif
