/* Convolutions on 256-bit vectors, for machines without AVX-512: with AVX2 and FMA, and int8 with
 * AVX_VNNI. */
#ifndef RESNEXT_KERNEL_AVX2_AVX2_H
#define RESNEXT_KERNEL_AVX2_AVX2_H

#include "kernel/kernel.h"

/* One group, any kernel size and stride. */
extern const struct conv_kernel f32_dense__avx2, bf16_dense__avx2, int8_dense__avx2,
    int8_dense__avx_vnni;

/* 1x1, one group, a multiple of 8 input channels. */
extern const struct conv_kernel int8_pointwise__avx2;

/* 3x3 with several groups, stride 1 or 2, as many outputs as inputs. */
extern const struct conv_kernel bf16_grouped__avx2, int8_grouped__avx2,
    int8_grouped__avx_vnni;

#endif
