/* Pooling on NHWC activations of any precision. */
#ifndef RESNEXT_NN_POOL_H
#define RESNEXT_NN_POOL_H

#include "nn/layer.h"

/* x [images][in_h][in_w][c] -> y [images][out_h][out_w][c]: the largest value of each window;
 * positions outside the map do not count. shape->in_c == shape->out_c. Computes rows
 * [row_begin, row_end) of images * out_h. In int8, x and y have the same scales. */
void pool_max(enum precision precision, const struct conv_shape *shape, const void *x, void *y,
              int row_begin, int row_end);

/* x [images][in_h][in_w][c] -> y [images][c]: the mean over the map. Computes strips [begin, end)
 * of images * pool_strips(shape); a strip is some channels of an image. In int8 a byte of y is mean
 * * scale[c] + offset[c], where the mean is that of the bytes of x. In other precisions scale and
 * offset are NULL.
 */
int pool_strips(const struct conv_shape *shape);
void pool_average(enum precision precision, const struct conv_shape *shape, const void *x, void *y,
                  const float *scale, const float *offset, int begin, int end);

#endif
