/* int8 with AVX_VNNI: a dword is four bytes beside four weights. */
#define LEAF_ISA avx_vnni

#include "kernel/isa/avx2.h"
#include "kernel/isa/copy.h"
#include "kernel/isa/dense.h"
#include "kernel/isa/grouped.h"

/* Compiled for AVX512_VNNI and AVX512VL, it is the same instruction in another encoding: so tests
 * can run on machines without AVX_VNNI. */
#ifdef __AVXVNNI__
#define ENCODING "%{vex%} "
#else
#define ENCODING "%{evex%} "
#endif

/* In assembly, because with the intrinsic gcc moves and spills accumulators. */
LANES_INLINE vec multiply_add(vec sum, vec x, vec w)
{
    __asm__(ENCODING "vpdpbusd %[w], %[x], %[sum]" : [sum] "+x"(sum) : [x] "x"(x), [w] "x"(w));
    return sum;
}

DENSE_FUNCTION(DENSE_LARGE, int8_dense, PRECISION_INT8, multiply_add)
DENSE_KERNEL(int8_dense, PRECISION_INT8, 1, copy, multiply_add, .min = 3);
GROUPED_KERNEL(int8_grouped, PRECISION_INT8, 1, copy, multiply_add, NULL, GROUPED_SIZES, 0);
