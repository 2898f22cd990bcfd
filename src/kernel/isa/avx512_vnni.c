/* int8: a dword is four bytes beside four weights. */
#define LEAF_ISA avx512_vnni

#include "kernel/isa/avx512.h"
#include "kernel/isa/avx512_dense.h"
#include "kernel/isa/copy.h"
#include "kernel/isa/grouped.h"

LANES_INLINE vec multiply_add(vec sum, vec x, vec w)
{
    sum = (vec)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)x, (__m512i)w);
    __asm__("" : "+v"(sum)); /* or gcc moves accumulators between registers */
    return sum;
}

DENSE_LARGE_FUNCTION(int8_dense, PRECISION_INT8, "vpdpbusd")
DENSE_KERNEL(int8_dense, PRECISION_INT8, 1, copy, multiply_add);
/* (With runs of 7 pixels, the epilogue of one overlaps the multiplications of the next.) */
GROUPED_KERNEL(int8_grouped, PRECISION_INT8, 1, copy, multiply_add, NULL, GROUPED_SIZES, 7);
