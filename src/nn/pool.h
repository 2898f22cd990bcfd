/* Pooling on NHWC activations of any precision. */
#ifndef RESNEXT_NN_POOL_H
#define RESNEXT_NN_POOL_H

#include "nn/layer.h"
#include "nn/quantize.h"

/* x [images][in_h][in_w][c] -> y [images][out_h][out_w][c]: the largest value of each window;
 * positions outside the map do not count. shape->in_c == shape->out_c. Computes rows
 * [row_begin, row_end) of images * out_h. In int8, x and y have the same scales. */
void pool_max(enum precision precision, const struct conv_shape *shape, const void *x, void *y,
              int row_begin, int row_end);

/* The same, for the mean of the part of each 2x2 window that lies inside the map, with stride 2, as
 * PyTorch's AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False); out_h and out_w may be
 * rounded down too. In int8, halves are rounded up. */
void pool_mean(enum precision precision, const struct conv_shape *shape, const void *x, void *y,
               int row_begin, int row_end);

/* The same, for 3x3 windows with stride 2, times [1 2 1] x [1 2 1] / 16, as timm's BlurPool2d. The
 * pixel beyond an edge is the one on its other side, so a map has at least two rows and columns. In
 * int8, halves are rounded up. (arXiv 1904.11486) */
void pool_blur(enum precision precision, const struct conv_shape *shape, const void *x, void *y,
               int row_begin, int row_end);

/* x [images][in_h][in_w][c] -> y [images][c]: the mean over the map. Computes strips [begin, end)
 * of images * sums_strips(in_c); a strip is some channels of an image. In int8, y is float32, and
 * `q` says what the bytes of x mean; in other precisions q is NULL. */
void pool_average(enum precision precision, const struct conv_shape *shape, const void *x,
                  const struct quantization *q, void *y, int begin, int end);

#endif
