/* The classifier of an int8 network: int8 weights on features of 16 bits. A class's score is a sum
 * over all features, and a feature that a class alone has is rare: a fixed range of bytes would cut
 * such features off. */
#ifndef RESNEXT_NN_CLASSIFIER_H
#define RESNEXT_NN_CLASSIFIER_H

#include "kernel/kernel.h"

/* Bytes of packed weights, and of scratch. */
size_t classifier_packed_size(const struct conv_kernel *kernel, const struct conv_shape *shape);
size_t classifier_scratch_size(const struct conv_kernel *kernel, const struct conv_shape *shape);

/* Packs weights whose multiplier turns a sum of products with features into a logit. */
void classifier_pack(const struct conv_kernel *kernel, const struct conv_shape *shape,
                     const struct conv_weights *weights, void *packed);

/* One image: x [in_c], float32 and not negative -> y [out_c], float32. A feature is rounded to a
 * whole number of steps, of which the largest feature has 65535. The kernel computes the upper and
 * the lower bytes of these numbers as two images. */
void classifier_run(const struct conv_kernel *kernel, const struct conv_shape *shape,
                    const void *packed, const float *x, float *y, void *scratch);

#endif
