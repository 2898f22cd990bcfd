/* Explanations of a network's answer: the last feature map, its mean, and how much each place
 * contributes to a class.
 */
#ifndef RESNEXT_NN_EXPLAIN_H
#define RESNEXT_NN_EXPLAIN_H

#include <stddef.h>

#include "nn/network.h"

/* The shape of the last feature map. Every network here ends in a mean over that map and one linear
 * layer. So explanations are exact in float32, and in other precisions as exact as the logits. */
struct feature_shape {
    int rows, cols, channels;
};
struct feature_shape explain_shape(const struct network *network);

/* After network_forward: the embedding of an image, the mean over its last feature map, float32
 * [channels] to `out`. ERR_NOT_FINITE. */
int explain_embedding(const struct network *network, const struct workspace *workspace, int image,
                      float *out, struct error *err);

/* After network_forward: the class activation map of `class_id` (Zhou et al. 2016, equation 2),
 * float32 [rows][cols] to `map`: at each place the sum over channels of weight x feature. Its mean
 * plus the class's bias is the class's logit. ERR_NOT_FINITE. */
int explain_class(const struct network *network, const struct workspace *workspace, int image,
                  int class_id, float *map, struct error *err);

/* Scales `count` numbers to the Euclidean length 1; all zeros stay so. */
void explain_normalize(float *vector, size_t count);

#endif
