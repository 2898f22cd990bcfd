/* The tensors of a checkpoint, with the names of torchvision and timm: reads the template from
 * their shapes, checks that they are complete, and reads the numbers of one layer. */
#ifndef RESNEXT_MODEL_CHECKPOINT_H
#define RESNEXT_MODEL_CHECKPOINT_H

#include <stddef.h>

#include "base/error.h"
#include "model/safetensors.h"
#include "model/template.h"

/* Reads the network from the shapes and the naming, except for `input_size`, which is not changed,
 * and for what no tensor shows (see architecture.h). ERR_MODEL_UNSUPPORTED; the message names the
 * tensor that is missing, has an unknown shape, or belongs to another family. */
int checkpoint_template(const struct tensor_table *tensors, struct template *t, struct error *err);

/* Checks that every layer has its tensors, with the right shapes and types, and that there are no
 * others except num_batches_tracked. ERR_MODEL_INVALID, ERR_MODEL_UNSUPPORTED (a tensor that no
 * layer knows), ERR_NO_MEMORY; the message names the tensor. */
int checkpoint_check(const struct tensor_table *tensors, const struct layer *layers, size_t count,
                     struct error *err);

/* The tensors of a layer, by name, rank, shape and number of elements, as float32: its weights,
 * then batch norm's weight, bias, running_mean and running_var, or the bias of the classifier or of
 * attention. Returns how many; 0 for layers without tensors. */
enum { CHECKPOINT_LAYER_TENSORS = 5 };
size_t checkpoint_layer_tensors(const struct layer *layer,
                                struct tensor_info out[CHECKPOINT_LAYER_TENSORS]);

/* Whether a convolution has no tensors: it only multiplies by a gate, and is the identity. */
bool checkpoint_is_identity(const struct layer *layer);

/* Reads a checked layer's weights [out_c][in_c / groups][kernel][kernel] and bias [out_c], batch
 * norm folded in. `norm` is scratch space of 4 * out_c floats, used by convolutions only. Weights
 * of attention are as they are in the file. ERR_IO, ERR_MODEL_INVALID. */
int checkpoint_read(const struct safetensors *file, const struct layer *layer, float *weights,
                    float *bias, float *norm, struct error *err);

/* Reads the weights [out_c][in_c] and bias [out_c] of attention's first layer, with those of
 * `conv`, the convolution of excitation.conv as checkpoint_read returns them, multiplied in. `own`
 * is scratch space of excitation.channels * out_c floats. ERR_IO, ERR_MODEL_INVALID. */
int checkpoint_read_excite(const struct safetensors *file, const struct layer *layer,
                           const struct layer *conv, const float *conv_weights,
                           const float *conv_bias, float *own, float *weights, float *bias,
                           struct error *err);

#endif
