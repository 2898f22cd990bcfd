/* Convolutions on 512-bit vectors, in float32 (AVX512F), int8 (AVX512_VNNI) and bfloat16
 * (AVX512_BF16). */
#ifndef RESNEXT_KERNEL_AVX512_AVX512_H
#define RESNEXT_KERNEL_AVX512_AVX512_H

#include "kernel/kernel.h"

/* One group, any kernel size and stride. */
extern const struct conv_kernel f32_dense__avx512, int8_dense__avx512_vnni, bf16_dense__avx512_bf16;

/* 3x3 with several groups, stride 1 or 2, as many outputs as inputs. */
extern const struct conv_kernel int8_grouped__avx512_vnni,
    bf16_grouped__avx512_bf16;

#endif
