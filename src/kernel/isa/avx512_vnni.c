/* int8: a dword is four bytes beside four weights. */
#include "kernel/isa/avx512.h"
#include "kernel/isa/avx512_dense.h"
#include "kernel/isa/copy.h"
#include "kernel/isa/grouped.h"

LANES_INLINE vec multiply_add(vec sum, vec x, vec w)
{
    sum = (vec)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)x, (__m512i)w);
    __asm__("" : "+v"(sum)); /* or sums move from register to register */
    return sum;
}

DENSE_LARGE_FUNCTION(large, PRECISION_INT8, "vpdpbusd")
DENSE_KERNEL(int8, dense, avx512_vnni, PRECISION_INT8, 1, copy_elements, multiply_add,
             DENSE_LARGE_PIXELS, large);
/* (The outputs of 7 pixels are packed while the next run multiplies.) */
GROUPED_KERNEL(int8, avx512_vnni, PRECISION_INT8, 1, copy_elements, multiply_add, NULL,
               GROUPED_SIZES, 7);
