/* Memory of activations: a value lives from the layer that makes it to the last layer that reads
 * it, and values whose lives do not overlap may share memory. */
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

/* Elements are those of layer_value_precision, or of nn/fine.h. An output may reuse the memory of
 * its layer's residual if no later layer reads that. The input and output of the head's pool live
 * to the end. ERR_NO_MEMORY; ERR_MODEL_UNSUPPORTED if a size does not fit. */
int plan_create(struct plan *plan, const struct layer *layers, size_t count,
                enum precision precision, struct error *err);
void plan_destroy(struct plan *plan);

#endif
