/* bfloat16: a dword is two inputs beside two weights. */
#define LEAF_ISA avx512_bf16

#include "kernel/isa/avx512.h"
#include "kernel/isa/avx512_dense.h"
#include "kernel/isa/copy.h"
#include "kernel/isa/grouped.h"

LANES_INLINE vec multiply_add(vec sum, vec x, vec w)
{
    sum = (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)w);
    __asm__("" : "+v"(sum)); /* or gcc moves accumulators between registers */
    return sum;
}

DENSE_LARGE_FUNCTION(bf16_dense, PRECISION_BF16, "vdpbf16ps")
DENSE_KERNEL(bf16_dense, PRECISION_BF16, 2, copy, multiply_add);
GROUPED_KERNEL(bf16_grouped, PRECISION_BF16, 2, copy, multiply_add, NULL, GROUPED_SIZES, 0);
