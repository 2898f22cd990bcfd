/* Where each activation lies: a value lives from the layer that makes it to the last that reads it,
 * and values that never live together share memory. */
#ifndef RESNEXT_NN_PLAN_H
#define RESNEXT_NN_PLAN_H

#include <stddef.h>

#include "base/error.h"
#include "nn/layer.h"

struct plan {
    size_t value_count; /* layers + 1; value 0 is the input */
    size_t *offset;     /* [value_count], in bytes for one image; multiples of 64 */
    size_t total;       /* bytes for one image */
};

/* For elements of the precision, and float32 in the last value. ERR_NO_MEMORY;
 * ERR_MODEL_UNSUPPORTED if a size does not fit. An output may take the place of its layer's
 * residual when nobody reads that later. What an average pool reads and makes lives to the end. */
int plan_create(struct plan *plan, const struct layer *layers, size_t count,
                enum precision precision, struct error *err);
void plan_destroy(struct plan *plan);

#endif
