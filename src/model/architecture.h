/* Whether config.json says of a network that it computes what ResNets and ResNeXts do. */
#ifndef RESNEXT_MODEL_ARCHITECTURE_H
#define RESNEXT_MODEL_ARCHITECTURE_H

#include <jansson.h>

#include "base/error.h"

/* Checks the keys architecture, model_args and global_pool, all of which may be absent. Networks
 * with the same tensors can compute something else. ERR_MODEL_UNSUPPORTED names what is not served,
 * ERR_MODEL_INVALID. */
int architecture_check(const json_t *root, struct error *err);

#endif
