/* The C reference: plain loops, any shape, the meaning of every other kernel. */
#ifndef RESNEXT_KERNEL_REF_REF_H
#define RESNEXT_KERNEL_REF_REF_H

#include "kernel/kernel.h"

extern const struct conv_kernel f32_conv__ref, bf16_conv__ref, int8_conv__ref;

#endif
