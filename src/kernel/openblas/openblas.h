/* float32 convolutions as OpenBLAS matrix products, one thread a call. */
#ifndef RESNEXT_KERNEL_OPENBLAS_OPENBLAS_H
#define RESNEXT_KERNEL_OPENBLAS_OPENBLAS_H

#include "kernel/kernel.h"

/* 1x1, any stride, one group: pixels x channels times [in_c][out_c]. */
extern const struct conv_kernel f32_pointwise__openblas;

/* More than one group: channels are laid out as planes, so that vectors run along pixels. */
extern const struct conv_kernel f32_grouped__openblas, f32_grouped__openblas_avx2;

/* Any kernel size, one group: a block of pixels is laid out as [pixels][kernel^2 * in_c]. */
extern const struct conv_kernel f32_im2col__openblas;

#endif
