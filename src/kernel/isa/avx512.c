/* float32. */
#define LEAF_ISA avx512

#include "kernel/isa/avx512.h"
#include "kernel/isa/avx512_dense.h"
#include "kernel/isa/copy.h"

LANES_INLINE vec multiply_add(vec sum, vec x, vec w)
{
    return (vec)_mm512_fmadd_ps((__m512)x, (__m512)w, (__m512)sum);
}

DENSE_LARGE_FUNCTION(f32_dense, PRECISION_F32, "vfmadd231ps")
DENSE_KERNEL(f32_dense, PRECISION_F32, 4, copy, multiply_add);
