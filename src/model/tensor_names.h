/* One set of names for the tensors of every checkpoint: torchvision's, which are timm's too. */
#ifndef RESNEXT_MODEL_TENSOR_NAMES_H
#define RESNEXT_MODEL_TENSOR_NAMES_H

#include "model/safetensors.h"

/* Renames the tensors of a table, sets `stored` to the names that they had and `naming` to whose
 * names these were, and sorts the tensors by the new names. A name that stands for nothing known
 * stays as it is. In this order:
 *
 *   a prefix that all tensors carry, such as module., model., timm_model. or _orig_mod. (PyTorch's
 *   DataParallel and compile, Lightning, timm's port to transformers)
 *   legacy SENet (timm/models/senet.py): layer0.conv1, se_module, last_linear, ...
 *   Hugging Face (transformers/models/resnet/modeling_resnet.py):
 *   resnet.encoder.stages.0.layers.0.layer.0.convolution, classifier.1, ...
 *
 * ERR_MODEL_UNSUPPORTED if only some tensors carry a prefix, if a part of it is a number (the
 * network is then one part of a sequence), or if two would have one name; the message has the names
 * as they were. */
int tensor_names_rename(struct tensor_table *table, struct error *err);

#endif
