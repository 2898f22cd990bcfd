/* A network as a list of layers, in the order in which they run. model/template.c makes it from a
 * template; nn/network.c adds memory and kernels. */
#ifndef RESNEXT_NN_LAYER_H
#define RESNEXT_NN_LAYER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/kernel.h"

enum layer_kind {
    LAYER_CONV,     /* convolution + bias (x gate) (+ residual) (+ ReLU); batch norm is folded in */
    LAYER_MAX_POOL, /* max over kernel x kernel windows; padding never wins */
    LAYER_AVG_POOL, /* mean of the part of each window that lies inside the map */
    LAYER_BLUR_POOL,   /* 3x3 windows times [1 2 1] x [1 2 1] / 16; edges are reflected */
    LAYER_GLOBAL_POOL, /* mean over the whole map: [images][1][1][channels] */
    LAYER_SQUEEZE,     /* means of what a convolution's taps see, float32: nn/attention.h */
    LAYER_EXCITE,      /* fully connected, on float32: nn/attention.h */
    LAYER_LINEAR,      /* the classifier: a 1x1 convolution on a 1x1 map */
};

enum { LAYER_NAME_MAX = 48, LAYER_NO_VALUE = -1 };

enum excite_function { EXCITE_RELU, EXCITE_SIGMOID, EXCITE_HARD_SIGMOID };

/* What only a LAYER_EXCITE has. The first of a block reads a LAYER_SQUEEZE: what it has to read is
 * the mean of a convolution's output, but that is linear in the means of the convolution's input,
 * so the convolution's weights are multiplied into its own. */
struct excitation {
    enum excite_function function;
    int conv;     /* the layer whose weights are multiplied in; 0 if none */
    int channels; /* inputs of its own tensor; shape.in_c unless weights are multiplied in */
    int kernel;   /* of a convolution over channels (ECA); 0 if it is fully connected */
};

struct layer {
    enum layer_kind kind;
    char name[LAYER_NAME_MAX]; /* the prefix of its tensors: "layer1.0.conv2"; "" if it has none */
    char norm[LAYER_NAME_MAX]; /* the prefix of its batch norm: "layer1.0.bn2"; "" if it has none: a
                                  convolution without one is the identity, and only scales */
    struct conv_shape shape;
    bool relu;
    /* Values are numbered: 0 is the input, layer i produces value i + 1. */
    int input;
    int residual; /* LAYER_NO_VALUE if none */
    int gate;     /* [images][out_c] float32, which multiply a convolution's output before the
                     residual is added; 0 if none, as the input is no gate */
    struct excitation excitation;
};

/* Whether the layer has weights: a convolution, the classifier, or a LAYER_EXCITE. */
bool layer_has_weights(const struct layer *layer);

/* Whether one of kernel.h's kernels runs it: a convolution or the classifier. */
bool layer_has_kernel(const struct layer *layer);

/* Whether it computes a gate. Its output is float32 in every precision. */
bool layer_is_attention(const struct layer *layer);

/* The precision of value v of `count` layers that run in `precision`: float32 for attention, the
 * last value, which is the logits, and in int8 the features that the classifier reads. */
enum precision layer_value_precision(const struct layer *layers, size_t count, size_t v,
                                     enum precision precision);

/* Whether the layers make a network: each reads earlier values of its shape, float32 only where
 * float32 is read, and has a shape that its kind can run. */
bool layers_are_sound(const struct layer *layers, size_t count);

/* The name in messages and reports: its own, or that of its kind; "avg_pool" is the head's. */
const char *layer_label(const struct layer *layer);

/* The layer's parameters as PyTorch counts them (weights, biases, batch norm's scale and
 * shift), and multiply-adds for one image (of layers with weights only). */
int64_t layer_parameters(const struct layer *layer);
int64_t layer_multiply_adds(const struct layer *layer);

#endif
