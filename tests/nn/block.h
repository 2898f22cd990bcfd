/* A small network with every kind of layer: stem, max pool, a bottleneck with a projection shortcut
 * and stride, one with the identity, pooling, classifier. For one thread. */
#ifndef RESNEXT_TESTS_NN_BLOCK_H
#define RESNEXT_TESTS_NN_BLOCK_H

#include "nn/network.h"

enum {
    BLOCK_LAYERS = 11,
    BLOCK_INPUT = 3 * 30 * 30,
    BLOCK_ROWS = 4, /* of the last map, and its columns */
    BLOCK_CHANNELS = 24,
    BLOCK_CLASSES = 5
};

void block_layers(struct layer layers[BLOCK_LAYERS]);

/* What the bytes of every value stand for: the block's numbers lie between -4 and 4, those after a
 * ReLU between 0 and 4. */
void block_scales(const struct layer *layers, struct quantization values[BLOCK_LAYERS + 1]);

/* The network on an ISA (NULL: the best), with weights in -scale..scale and biases in -1..1, always
 * the same; the caller destroys it. Those of its classifier are then in block_classifier. */
struct network *block_network(const char *isa, enum precision precision, float scale);
extern float block_classifier[BLOCK_CLASSES * BLOCK_CHANNELS], block_classifier_bias[BLOCK_CLASSES];

/* Numbers in -1..1, in elements of the precision. */
void block_fill(enum precision precision, void *input, int images);

#endif
