/* Checks in config.json that a network computes what ResNets and ResNeXts compute. */
#ifndef RESNEXT_MODEL_ARCHITECTURE_H
#define RESNEXT_MODEL_ARCHITECTURE_H

#include <jansson.h>

#include "base/error.h"

/* Networks with the same tensors can compute different things. Checks architecture, model_args and
 * the other keys that change the computation, at the root and in `picture` (pretrained_cfg, or the
 * root again). Every key may be absent. ERR_MODEL_UNSUPPORTED (the message names the key or value
 * that is not served), ERR_MODEL_INVALID. */
int architecture_check(const json_t *root, const json_t *picture, struct error *err);

#endif
