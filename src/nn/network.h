/* A network that is ready to run: layers, their kernels and packed weights. It is read-only after
 * the last network_set_weights. Any number of threads may then share it, each with its own
 * workspace. */
#ifndef RESNEXT_NN_NETWORK_H
#define RESNEXT_NN_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "nn/layer.h"
#include "nn/quantize.h"
#include "nn/summary.h"

struct network;

/* The precision of a network and the instruction sets that it may use. */
struct network_options {
    enum precision precision;
    struct kernel_isas isas;
    /* For int8, [count + 1]: the quantization of the input and of each layer's output. Those of
     * attention, of the head's pool and of the logits are not used, as these are float32. The
     * output of a pool over windows has the quantization of its input. The elements are copied. */
    const struct quantization *values;
    /* For int8, [count]: the rounding of each layer's weights, as quantize_layer has it (NULL: to
     * the nearest); NULL if no layer has one. The caller keeps it until the last
     * network_set_weights. */
    const uint8_t *const *roundings;
};

/* Copies the layers, chooses the kernels, and reserves memory for the packed weights.
 * ERR_NO_MEMORY; ERR_MODEL_UNSUPPORTED if a size does not fit. `*out` belongs to the caller. */
int network_create(struct network **out, const struct layer *layers, size_t count,
                   const struct network_options *options, struct error *err);
void network_destroy(struct network *network);

/* Packs the weights of layer i: weights [out_c][in_c / groups][kernel][kernel] and bias [out_c],
 * batch norm folded in; of a LAYER_EXCITE [out_c][in_c], multiplied with those of its convolution.
 * The caller keeps the arrays. Each such layer must be set once, in their order, before the first
 * pass. ERR_NO_MEMORY. */
int network_set_weights(struct network *network, size_t i, const float *weights, const float *bias,
                        struct error *err);

size_t network_layer_count(const struct network *network);
const struct layer *network_layer(const struct network *network, size_t i);
enum precision network_precision(const struct network *network);

/* Bytes of packed weights. */
size_t network_weight_bytes(const struct network *network);

/* The kernel that runs layer i; NULL for pooling and attention. */
const struct conv_kernel *network_kernel(const struct network *network, size_t i);

/* What it computes: the layer's shape, with twice as many input channels if these are FINE_PLANES
 * of nn/fine.h, and with the shortcut of nn/shortcut.h; and what it gives. */
const struct conv_shape *network_kernel_shape(const struct network *network, size_t i);
enum conv_output network_kernel_output(const struct network *network, size_t i);

/* The names of the kernels of all layers. */
struct network_summary network_kernels(const struct network *network);

/* ERR_NO_MEMORY unless the libraries of its kernels have enough memory for `threads` more threads,
 * not counting workspaces. Call it before these threads start. */
int network_check_memory(const struct network *network, int threads, struct error *err);

/* Activations and scratch of one thread, for up to `max_images` images at once; all of its memory
 * is mapped and touched here. One thread at a time. */
struct workspace;
int workspace_create(struct workspace **out, const struct network *network, int max_images,
                     struct error *err);
void workspace_destroy(struct workspace *workspace);

/* Calculates the bytes of a workspace. False if they do not fit in a size_t. */
bool network_workspace_bytes(const struct network *network, int max_images, size_t *bytes);

/* The input, [max_images][in_h][in_w][3] in elements of the precision. The caller writes it before
 * each forward. */
void *workspace_input(struct workspace *workspace);

/* Value `v` of the last forward pass (numbered as in layer.h), [images][height][width][channels] in
 * elements of layer_value_precision, or of nn/fine.h. It is valid until a later layer reuses its
 * memory. The input and output of the head's pool, and the logits, stay until the next pass. */
const void *workspace_value(const struct network *network, const struct workspace *workspace,
                            int v);

/* The layer that layer i computes too, as nn/shortcut.h says; NULL if none. */
const struct layer *network_shortcut(const struct network *network, size_t i);

/* Whether value `v` exists: those of shortcuts that another layer computes do not. */
bool network_has_value(const struct network *network, int v);

/* Copies elements [first, first + count) of value `v`, which exists, to `out`, as float32 in every
 * precision. They can be read as long as workspace_value is valid. */
void network_read_value(const struct network *network, const struct workspace *workspace, int v,
                        size_t first, size_t count, float *out);

/* The number of elements of value `v` for one image. */
size_t network_value_size(const struct network *network, int v);

/* Runs `images` (1..max_images) images. Returns the logits, float32 [images][classes], which stay
 * in the workspace until the next call. Allocates nothing and takes no lock. */
const float *network_forward(const struct network *network, struct workspace *workspace,
                             int images);

/* The logits of the last forward pass, whichever function ran it. */
const float *network_result(const struct network *network, const struct workspace *workspace);

/* The classifier's weights as they were set, float32 [classes][channels]; NULL if the network has
 * no classifier. */
const float *network_classifier(const struct network *network);

/* Runs one layer. network_forward is a loop over all layers; benchmarks time each layer. */
void network_run_layer(const struct network *network, struct workspace *workspace, size_t i,
                       int images);

/* A layer's work is divided into tiles. They may run in any order and in parallel, by threads that
 * each have a workspace for the same network. Activations are in `workspace`; `mine` provides the
 * scratch. */
int network_tile_count(const struct network *network, size_t i, int images);
void network_run_tiles(const struct network *network, struct workspace *workspace,
                       struct workspace *mine, size_t i, int images, int begin, int end);

#endif
