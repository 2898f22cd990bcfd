/* Where each activation lies: a value lives from the layer that makes it to the last that reads it,
 * and values that never live together share memory. */
#ifndef RESNEXT_NN_PLAN_H
#define RESNEXT_NN_PLAN_H

#include <stddef.h>

#include "base/error.h"
#include "nn/layer.h"

struct plan {
    size_t value_count; /* layers + 1; value 0 is the input */
    size_t *offset;     /* [value_count], in floats for one image; multiples of 16 */
    size_t total;       /* floats for one image */
};

/* ERR_NO_MEMORY; ERR_MODEL_UNSUPPORTED if a size does not fit. An output may take the place of its
 * layer's residual when nobody reads that later. */
int plan_create(struct plan *plan, const struct layer *layers, size_t count, struct error *err);
void plan_destroy(struct plan *plan);

#endif
