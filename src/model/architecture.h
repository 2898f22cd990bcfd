/* Whether config.json says of a network that it computes what ResNets and ResNeXts do. */
#ifndef RESNEXT_MODEL_ARCHITECTURE_H
#define RESNEXT_MODEL_ARCHITECTURE_H

#include <jansson.h>

#include "base/error.h"

/* Checks architecture, model_args, and whatever else at the root or in `picture` (pretrained_cfg,
 * or the root again) changes what is computed; all may be absent. Networks with the same tensors
 * can compute something else. ERR_MODEL_UNSUPPORTED names what is not served, ERR_MODEL_INVALID. */
int architecture_check(const json_t *root, const json_t *picture, struct error *err);

#endif
