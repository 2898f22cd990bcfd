/* Chooses the range of each channel of a layer that the bytes of int8 cover, from histograms. */
#ifndef RESNEXT_MODEL_RANGES_H
#define RESNEXT_MODEL_RANGES_H

#include <stddef.h>
#include <stdint.h>

#include "base/names.h"

#define RANGE_METHOD_NAMES(NAME)                                                                   \
    NAME(RANGE_MINMAX, "minmax")                                                                   \
    NAME(RANGE_PERCENTILE, "percentile")                                                           \
    NAME(RANGE_MSE, "mse")

/* How a channel's range is chosen: all values, all but the outermost 0.01 % of them, or the range
 * with the smallest mean square of rounding and clipping errors. */
enum range_method { RANGE_METHOD_NAMES(NAME_VALUE) RANGE_METHOD_COUNT };
extern const char *const range_method_names[];

enum {
    RANGE_BINS = 512, /* of a channel's range: two for each of a byte's steps */
    RANGE_FOLDS = 2,  /* halves of the pictures, with histograms of their own */
    RANGE_COUNTS = RANGE_FOLDS * (RANGE_BINS + 1),
};

/* What was seen of a layer's output. Bin b is centred on low + b * (high - low) / RANGE_BINS. */
struct range_counts {
    size_t channels;
    const float *low, *high; /* [channels]; 0 always belongs to the range */
    const uint32_t *counts;  /* [channels][RANGE_FOLDS][RANGE_BINS + 1] */
};

/* Sets spans[c], the width of the range of channel c: a part of high - low or more, with both ends
 * in proportion; 0 if the channel was always 0. A picture not seen may have larger values in a
 * channel that is seldom active, so ranges are wider than what each channel alone would have: with
 * RANGE_MSE by as much as makes the ranges of one half of the pictures fit the other half best. */
void ranges_choose(const struct range_counts *seen, enum range_method method, double *spans);

/* The mean of the values of channel c. */
double ranges_mean(const struct range_counts *seen, size_t c);

#endif
