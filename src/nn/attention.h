/* Channel attention (squeeze-and-excitation, arXiv 1709.01507; ECA, arXiv 1910.03151). A block's
 * last convolution z = W x + b is multiplied by a gate, a number from 0 to 1 for each channel that
 * depends on the mean of z alone. As mean(z) = W mean(x) + b, where mean(x) has one row for each
 * tap of the kernel, the gate is computed from x before the convolution runs, which then multiplies
 * its sums by it: z is never stored. Means and gates are float32 in every precision. */
#ifndef RESNEXT_NN_ATTENTION_H
#define RESNEXT_NN_ATTENTION_H

#include "nn/layer.h"
#include "nn/quantize.h"

/* x [images][in_h][in_w][c] -> y [images][kernel * kernel][c], float32: the means, over the output
 * pixels of a convolution of this kernel with stride 1 and padding kernel / 2, of what each tap
 * sees; padding is 0. shape->out_c is kernel * kernel * c. `q` says what bytes mean; NULL in other
 * precisions. Computes strips [begin, end) of images * sums_strips(in_c). */
void attention_squeeze(enum precision precision, const struct conv_shape *shape, const void *x,
                       const struct quantization *q, float *y, int begin, int end);

/* x [images][in_c] -> y [images][out_c]: function(weights x + bias). Weights [out_c][in_c] are
 * float32, or bfloat16 in a network of another precision: reading them is what takes the time.
 * Computes tiles [tile_begin, tile_end) of attention_excite_tiles(shape); a tile is some outputs of
 * all images. An output does not depend on tiles or on other images. */
struct excite_call {
    enum precision precision; /* of the weights: not PRECISION_INT8 */
    const struct conv_shape *shape;
    enum excite_function function;
    const void *weights;
    const float *bias, *x;
    float *y;
    int images;
    int tile_begin, tile_end;
};
int attention_excite_tiles(const struct conv_shape *shape);
void attention_excite(const struct excite_call *call);

/* The largest size that an output can have before its function, if no input is larger than `reach`.
 */
double attention_reach(const struct conv_shape *shape, const float *weights, const float *bias,
                       double reach);

#endif
