/* Projection shortcuts that an int8 network computes where they are added. A block ends with
 * relu(W a + V x): where both are 1x1 convolutions, one call of a kernel computes a block of pixels
 * of V x and then adds it, in float32, to W a, so that V x is neither rounded to bytes nor written
 * to memory. */
#ifndef RESNEXT_NN_SHORTCUT_H
#define RESNEXT_NN_SHORTCUT_H

#include "nn/layer.h"

/* The layer that layer i computes too, as its shortcut, and whose value does not exist then;
 * `count` if none. */
size_t shortcut_of(const struct layer *layers, size_t count, size_t i);

#endif
