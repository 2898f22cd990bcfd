/* The classifier of an int8 network. A logit is a sum over all features, and those that only one
 * class has are rare: a fixed range of bytes would cut them off. So a feature has 16 bits, a weight
 * 13, and the int8 kernel multiplies their halves. Time goes by with reading the weights, which are
 * twice as many bytes. */
#ifndef RESNEXT_NN_CLASSIFIER_H
#define RESNEXT_NN_CLASSIFIER_H

#include "base/error.h"
#include "nn/layer.h"

/* Bytes of packed weights, and of scratch. */
size_t classifier_packed_size(const struct conv_kernel *kernel, const struct conv_shape *shape);
size_t classifier_scratch_size(const struct conv_kernel *kernel, const struct conv_shape *shape);

/* Packs weights [out_c][in_c] and bias [out_c]. ERR_MODEL_UNSUPPORTED if they are too large or too
 * small, ERR_NO_MEMORY. */
int classifier_pack(const struct conv_kernel *kernel, const struct layer *layer,
                    const float *weights, const float *bias, void *packed, struct error *err);

/* One image: x [in_c], float32 and not negative -> y [out_c], float32. A feature is rounded to a
 * whole number of steps, of which the largest feature has 65535. The same bits on every ISA. */
void classifier_run(const struct conv_kernel *kernel, const struct conv_shape *shape,
                    const void *packed, const float *x, float *y, void *scratch);

#endif
