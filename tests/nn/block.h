/* A small network with every kind of layer: stem, max pool, a bottleneck with a projection shortcut
 * and stride, one with the identity, pooling, classifier. */
#ifndef RESNEXT_TESTS_NN_BLOCK_H
#define RESNEXT_TESTS_NN_BLOCK_H

#include "nn/layer.h"

enum { BLOCK_LAYERS = 11, BLOCK_INPUT = 3 * 30 * 30, BLOCK_CLASSES = 5 };

static inline struct conv_shape block_shape(int in, int in_c, int out_c, int kernel, int stride,
                                            int groups)
{
    int pad = kernel / 2, out = (in + 2 * pad - kernel) / stride + 1;
    return (struct conv_shape){in, in, in_c, out, out, out_c, kernel, stride, pad, groups};
}

static inline void block_layers(struct layer layers[BLOCK_LAYERS])
{
    const struct layer all[BLOCK_LAYERS] = {
        {LAYER_CONV, "conv1", "bn1", block_shape(30, 3, 16, 7, 2, 1), true, 0, LAYER_NO_VALUE},
        {LAYER_MAX_POOL, "", "", block_shape(15, 16, 16, 3, 2, 1), false, 1, LAYER_NO_VALUE},
        {LAYER_CONV, "a.conv1", "a.bn1", block_shape(8, 16, 8, 1, 1, 1), true, 2, LAYER_NO_VALUE},
        {LAYER_CONV, "a.conv2", "a.bn2", block_shape(8, 8, 8, 3, 2, 2), true, 3, LAYER_NO_VALUE},
        {LAYER_CONV, "a.down", "a.bnd", block_shape(8, 16, 24, 1, 2, 1), false, 2, LAYER_NO_VALUE},
        {LAYER_CONV, "a.conv3", "a.bn3", block_shape(4, 8, 24, 1, 1, 1), true, 4, 5},
        {LAYER_CONV, "b.conv1", "b.bn1", block_shape(4, 24, 8, 1, 1, 1), true, 6, LAYER_NO_VALUE},
        {LAYER_CONV, "b.conv2", "b.bn2", block_shape(4, 8, 8, 3, 1, 2), true, 7, LAYER_NO_VALUE},
        {LAYER_CONV, "b.conv3", "b.bn3", block_shape(4, 8, 24, 1, 1, 1), true, 8, 6},
        {LAYER_AVG_POOL, "", "", {4, 4, 24, 1, 1, 24, 4, 1, 0, 1}, false, 9, LAYER_NO_VALUE},
        {LAYER_LINEAR, "fc", "", block_shape(1, 24, BLOCK_CLASSES, 1, 1, 1), false, 10,
         LAYER_NO_VALUE},
    };
    for (int i = 0; i < BLOCK_LAYERS; i++)
        layers[i] = all[i];
}

#endif
