/* A network as a list of layers, in the order in which they run. model/template.c makes it from a
 * template; nn/network.c adds memory and kernels. */
#ifndef RESNEXT_NN_LAYER_H
#define RESNEXT_NN_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/kernel.h"

enum layer_kind {
    LAYER_CONV,     /* convolution + bias (+ residual) (+ ReLU); batch norm is folded into it */
    LAYER_MAX_POOL, /* max over kernel x kernel windows; padding never wins */
    LAYER_AVG_POOL, /* mean over the whole map: [images][1][1][channels] */
    LAYER_LINEAR,   /* the classifier: a 1x1 convolution on a 1x1 map */
};

enum { LAYER_NAME_MAX = 48, LAYER_NO_VALUE = -1 };

struct layer {
    enum layer_kind kind;
    char name[LAYER_NAME_MAX]; /* the prefix of its tensors: "layer1.0.conv2"; "" if it has none */
    char norm[LAYER_NAME_MAX]; /* the prefix of its batch norm: "layer1.0.bn2"; "" if it has none */
    struct conv_shape shape;
    bool relu;
    /* Values are numbered: 0 is the input, layer i produces value i + 1. */
    int input;
    int residual; /* LAYER_NO_VALUE if none */
};

/* Whether the layer has weights, and so a kernel: a convolution or the classifier. */
bool layer_has_weights(const struct layer *layer);

/* The name in messages and reports: the prefix of its tensors, or "max_pool", "avg_pool". */
const char *layer_label(const struct layer *layer);

/* The layer's parameters as PyTorch counts them (weights, biases, batch norm's scale and
 * shift), and multiply-adds for one image (convolutions and classifier only). */
int64_t layer_parameters(const struct layer *layer);
int64_t layer_multiply_adds(const struct layer *layer);

#endif
