/* A network ready to run: layers, their kernels and packed weights. Read-only after the last
 * network_set_weights, and then shared by any number of threads, each with a workspace of its own.
 */
#ifndef RESNEXT_NN_NETWORK_H
#define RESNEXT_NN_NETWORK_H

#include <stddef.h>

#include "base/error.h"
#include "nn/layer.h"

struct network;

/* Copies the layers, chooses the kernels, reserves the packed weights. ERR_NO_MEMORY;
 * ERR_MODEL_UNSUPPORTED if a size does not fit. `*out` belongs to the caller. */
int network_create(struct network **out, const struct layer *layers, size_t count,
                   struct kernel_ladder ladder, struct error *err);
void network_destroy(struct network *network);

/* Packs the weights of layer i (a convolution or the classifier): weights
 * [out_c][in_c / groups][kernel][kernel] and bias [out_c], batch norm folded in. The arrays stay
 * the caller's. Each such layer must be set once before the first forward. */
void network_set_weights(struct network *network, size_t i, const float *weights,
                         const float *bias);

size_t network_layer_count(const struct network *network);
const struct layer *network_layer(const struct network *network, size_t i);

/* Bytes of packed weights. */
size_t network_weight_bytes(const struct network *network);

/* Name of the kernel that layer i runs on. */
const char *network_kernel_name(const struct network *network, size_t i);

/* Activations and scratch of one thread, for up to `max_images` images at once; all of its memory
 * is mapped and touched here. One thread at a time. */
struct workspace;
int workspace_create(struct workspace **out, const struct network *network, int max_images,
                     struct error *err);
void workspace_destroy(struct workspace *workspace);

/* Where the caller puts the input, float32 [max_images][in_h][in_w][3], before each forward. */
float *workspace_input(struct workspace *workspace);

/* Runs `images` (1..max_images) images. The result, float32 [images][classes] (logits), lies in the
 * workspace until the next call. Allocates nothing and takes no lock. */
const float *network_forward(const struct network *network, struct workspace *workspace,
                             int images);

/* One layer of network_forward, which runs all of them in order; for those who time them. */
void network_run_layer(const struct network *network, struct workspace *workspace, size_t i,
                       int images);

#endif
