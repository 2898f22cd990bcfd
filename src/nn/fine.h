/* Values of an int8 network that are finer than bytes, where rounding to bytes costs most: all that
 * a network sees goes through what its stem gives to the first stage, and there arises half of the
 * noise that activations bring to a ResNet-50's logits. They have 11 bits, in parts of a byte's
 * step.
 *
 *   FINE_WORDS   what only a max pool reads, as a stem's output: words of kernel.h
 *   FINE_PLANES  what such a pool gives if only 1x1 convolutions read it: bytes,
 *                [images][height][width][2][channels], whole steps, to the nearest, and parts. A
 *                kernel reads them as twice as many channels; the weights of the second half are
 *                those of the first, divided by FINE_PARTS. A shortcut of nn/shortcut.h reads the
 *                whole steps alone: it has four times as many outputs as the other convolution, so
 *                with parts it would cost four times as much for less than half of what they give.
 */
#ifndef RESNEXT_NN_FINE_H
#define RESNEXT_NN_FINE_H

#include "nn/layer.h"
#include "nn/quantize.h"

enum { FINE_PARTS = 8, FINE_PLANE_COUNT = 2 };
enum fine_form { FINE_NONE, FINE_WORDS, FINE_PLANES };

/* The form of value v of an int8 network. */
enum fine_form fine_form_of(const struct layer *layers, size_t count, size_t v);

/* Bytes of an element. */
size_t fine_size(enum fine_form form);

/* The channels of a value as kernels see them, of `channels` channels of the network. */
size_t fine_channels(enum fine_form form, size_t channels);

/* What the value's numbers mean, for kernels: `q` has `channels` channels, and the arrays of `out`
 * (the caller's; mean or NULL) have fine_channels. */
struct fine_scales {
    float *scale, *zero, *mean;
};
void fine_rescale(enum fine_form form, const struct quantization *q, size_t channels,
                  struct fine_scales out);

/* quantize_layer for a layer that reads FINE_PLANES: weights, bias and rounding are the layer's
 * own; `x` is as fine_rescale made it. */
int fine_quantize(const struct layer *layer, const float *weights, const float *bias,
                  const uint8_t *rounding, const struct quantization *x,
                  const struct quantization *y, const struct quantization *residual,
                  struct conv_weights *out, struct error *err);

/* Elements [first, first + count) of a value in any form as float32; `q` is as fine_rescale made
 * it. */
void fine_read(enum fine_form form, const struct quantization *q, size_t channels, const void *from,
               size_t first, size_t count, float *out);

/* pool_max of words to planes. */
void fine_pool(const struct conv_shape *shape, const void *x, void *y, int row_begin, int row_end);

#endif
