/* What the references share: the order of their loops. */
#ifndef RESNEXT_KERNEL_REF_WALK_H
#define RESNEXT_KERNEL_REF_WALK_H

#include "kernel/kernel.h"

/* Weights of one output channel: kernel^2 * in_c / groups, in the order [ky][kx][c]. */
size_t ref_patch(const struct conv_shape *shape);

/* Where weight `i` of a packed channel stands in PyTorch's order. */
size_t ref_source(const struct conv_shape *shape, size_t i);

/* Computes y[at] from a patch of x, [ky][kx][c], in the elements of the precision. */
typedef void ref_output(const struct conv_call *call, const void *patch, int channel, size_t at);

/* Calls `output` for every output of the call's tiles, each of which is an output row. `padding` is
 * the pixel outside the image, [in_c] elements of `size` bytes. */
void ref_walk(const struct conv_call *call, size_t size, const void *padding, ref_output *output);

int ref_tile_count(const struct conv_kernel *self, const struct conv_shape *shape, int images);
bool ref_supports(const struct conv_shape *shape);

#endif
