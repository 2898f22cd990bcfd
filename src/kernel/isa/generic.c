/* float32, also for bfloat16, which is widened to it; int8 as products of bytes widened to 16 bits;
 * OpenBLAS's planes. */
#define LEAF_ISA generic

#include "kernel/isa/generic.h"
#include "kernel/isa/copy.h"
#include "kernel/isa/dense.h"
#include "kernel/isa/grouped.h"

LANES_INLINE vec float_multiply_add(vec sum, vec x, vec w)
{
    return (vec)((vecf)sum + (vecf)x * (vecf)w);
}

LANES_INLINE vec widened_multiply_add(vec sum, vec x, vec w)
{
#ifdef __SSE2__
    typedef int16_t words __attribute__((vector_size(16)));
    return sum + (vec)__builtin_ia32_pmaddwd128((words)x, (words)w);
#else
    return sum + (x << 16 >> 16) * (w << 16 >> 16) + (x >> 16) * (w >> 16);
#endif
}

DENSE_FUNCTION(DENSE_LARGE, f32_dense, PRECISION_F32, float_multiply_add)
DENSE_KERNEL(f32_dense, PRECISION_F32, 4, copy, float_multiply_add);
DENSE_FUNCTION(DENSE_LARGE, bf16_dense, PRECISION_BF16, float_multiply_add)
DENSE_KERNEL(bf16_dense, PRECISION_BF16, 4, bf16_copy_widened, float_multiply_add);
GROUPED_KERNEL(bf16_grouped, PRECISION_BF16, 4, bf16_copy_widened, float_multiply_add, NULL,
               GROUPED_SIZES, 0);
DENSE_FUNCTION(DENSE_LARGE, int8_dense, PRECISION_INT8, widened_multiply_add)
DENSE_KERNEL(int8_dense, PRECISION_INT8, 2, int8_copy_widened, widened_multiply_add);
GROUPED_KERNEL(int8_grouped, PRECISION_INT8, 2, int8_copy_widened, widened_multiply_add, NULL,
               GROUPED_SIZES, 0);

LANES_INLINE vecf transpose_load(const float *const rows[LANES], size_t column)
{
    return vecf_load(rows[0] + column);
}

LANES_INLINE void transpose_4x4(vecf v[4])
{
    vecf ab_low = __builtin_shufflevector(v[0], v[1], 0, 4, 1, 5);
    vecf ab_high = __builtin_shufflevector(v[0], v[1], 2, 6, 3, 7);
    vecf cd_low = __builtin_shufflevector(v[2], v[3], 0, 4, 1, 5);
    vecf cd_high = __builtin_shufflevector(v[2], v[3], 2, 6, 3, 7);
    v[0] = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
    v[1] = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    v[2] = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    v[3] = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}

#include "kernel/openblas/leaf.h"
BLAS_GROUPED_KERNEL;
