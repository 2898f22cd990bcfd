/* Pooling on NHWC activations. */
#ifndef RESNEXT_NN_POOL_H
#define RESNEXT_NN_POOL_H

#include "nn/layer.h"

/* x [images][in_h][in_w][c] -> y [images][out_h][out_w][c]: the largest value of each window;
 * positions outside the map do not count. shape->in_c == shape->out_c. */
void pool_max(const struct conv_shape *shape, int images, const float *x, float *y);

/* x [images][in_h][in_w][c] -> y [images][c]: the mean over the map. */
void pool_average(const struct conv_shape *shape, int images, const float *x, float *y);

#endif
