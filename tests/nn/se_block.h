/* A small network with what attention and its relatives add: max pool with stride 1, blur pool, a
 * bottleneck with squeeze-and-excitation and an average pool in its shortcut. For one thread. */
#ifndef RESNEXT_TESTS_NN_SE_BLOCK_H
#define RESNEXT_TESTS_NN_SE_BLOCK_H

#include "nn/network.h"

enum {
    SE_LAYERS = 12,
    SE_INPUT = 19 * 19 * 3,
    SE_SQUEEZED = 5, /* the value of the squeeze; the gate is behind the two excitations */
    SE_GATE = 7,
    SE_FEATURES = 11,
    SE_SHORTCUT = 9,
    SE_CLASSES = 5,
};

/* `kernel`, 1 or 3, is that of the convolution behind the gate. */
void se_layers(int kernel, struct layer layers[SE_LAYERS]);

/* The network on an ISA (NULL: the best), always with the same weights; the caller destroys it. */
struct network *se_network(const char *isa, enum precision precision, int kernel);

/* The logits of one image, in double and with attention as its paper has it: the block's output is
 * averaged, and multiplied by what two layers make of that. */
void se_expected(int kernel, const float input[SE_INPUT], double logits[SE_CLASSES]);

/* Numbers in -1..1, in elements of the precision. */
void se_fill(enum precision precision, void *input, int images);

#endif
