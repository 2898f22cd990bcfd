/* A network ready to run: layers, their kernels and packed weights. Read-only after the last
 * network_set_weights, and then shared by any number of threads, each with a workspace of its own.
 */
#ifndef RESNEXT_NN_NETWORK_H
#define RESNEXT_NN_NETWORK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "nn/layer.h"
#include "nn/quantize.h"
#include "nn/summary.h"

struct network;

/* What a network runs in and on. */
struct network_options {
    enum precision precision;
    struct kernel_isas isas;
    /* For int8, [count + 1]: of the input and of what each layer makes; the last is not used, for
     * logits are float32. A max pool's are those of its input. Copied. */
    const struct quantization *values;
};

/* Copies the layers, chooses the kernels, reserves the packed weights. ERR_NO_MEMORY;
 * ERR_MODEL_UNSUPPORTED if a size does not fit. `*out` belongs to the caller. */
int network_create(struct network **out, const struct layer *layers, size_t count,
                   const struct network_options *options, struct error *err);
void network_destroy(struct network *network);

/* Packs the weights of layer i (a convolution or the classifier): weights
 * [out_c][in_c / groups][kernel][kernel] and bias [out_c], batch norm folded in. The arrays stay
 * the caller's. Each such layer must be set once before the first forward. ERR_NO_MEMORY. */
int network_set_weights(struct network *network, size_t i, const float *weights, const float *bias,
                        struct error *err);

size_t network_layer_count(const struct network *network);
const struct layer *network_layer(const struct network *network, size_t i);
enum precision network_precision(const struct network *network);

/* Bytes of packed weights. */
size_t network_weight_bytes(const struct network *network);

/* The kernel that layer i runs on; NULL for pooling. */
const struct conv_kernel *network_kernel(const struct network *network, size_t i);

/* What the layers run on. */
struct network_summary network_kernels(const struct network *network);

/* Whether there is what the libraries that its kernels run on need for so many more threads, beside
 * a workspace each: ERR_NO_MEMORY. Ask before they start. */
int network_check_memory(const struct network *network, int threads, struct error *err);

/* Activations and scratch of one thread, for up to `max_images` images at once; all of its memory
 * is mapped and touched here. One thread at a time. */
struct workspace;
int workspace_create(struct workspace **out, const struct network *network, int max_images,
                     struct error *err);
void workspace_destroy(struct workspace *workspace);

/* The bytes of a workspace; false if they do not fit in a size_t. */
bool network_workspace_bytes(const struct network *network, int max_images, size_t *bytes);

/* Where the caller puts the input, [max_images][in_h][in_w][3] in elements of the precision, before
 * each forward. */
void *workspace_input(struct workspace *workspace);

/* Value `v` of the last forward pass (numbered as in layer.h), [images][height][width][channels] in
 * elements of the precision, as long as no later layer has taken its place: what an average pool
 * reads and makes, and the logits, stay until the next pass. */
const void *workspace_value(const struct network *network, const struct workspace *workspace,
                            int v);

/* Elements [first, first + count) of value `v` as the numbers that they stand for, whatever the
 * precision. As long as workspace_value. */
void network_read_value(const struct network *network, const struct workspace *workspace, int v,
                        size_t first, size_t count, float *out);

/* How many elements value `v` has for one image. */
size_t network_value_size(const struct network *network, int v);

/* Runs `images` (1..max_images) images. The result, float32 [images][classes] (logits), lies in the
 * workspace until the next call. Allocates nothing and takes no lock. */
const float *network_forward(const struct network *network, struct workspace *workspace,
                             int images);

/* Where the last forward pass, however it was run, left its logits. */
const float *network_result(const struct network *network, const struct workspace *workspace);

/* The classifier's weights as they were set, float32 [classes][channels]; NULL if the network has
 * no classifier. */
const float *network_classifier(const struct network *network);

/* One layer of network_forward, which runs all of them in order; for those who time them. */
void network_run_layer(const struct network *network, struct workspace *workspace, size_t i,
                       int images);

/* A layer's work is cut into tiles, which may be computed in any order and at the same time, by
 * threads with workspaces of their own for the same network: activations are those of `workspace`,
 * scratch that of `mine`. */
int network_tile_count(const struct network *network, size_t i, int images);
void network_run_tiles(const struct network *network, struct workspace *workspace,
                       struct workspace *mine, size_t i, int images, int begin, int end);

#endif
