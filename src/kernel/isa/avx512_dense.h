/* Large blocks of dense.h with AVX-512, for all precisions. */
#ifndef RESNEXT_KERNEL_ISA_AVX512_DENSE_H
#define RESNEXT_KERNEL_ISA_AVX512_DENSE_H

#include "kernel/isa/avx512.h"
#include "kernel/isa/dense.h"

/* Has the outputs' lines, where the residual often lies, brought into the cache meanwhile. */
LANES_INLINE void dense_fetch_outputs(const struct dense_block *b, size_t element)
{
    const unsigned char *y = (const unsigned char *)b->finish.y + b->at * element;
#pragma GCC unroll 14
    for (int m = 0; m < DENSE_LARGE_PIXELS; m++, y += b->out_c * element) {
        __builtin_prefetch(y, 1, 3);
        if (element == 4)
            __builtin_prefetch(y + LANES_BYTES, 1, 3);
    }
}

/* The block of 14 pixels, in assembly: compilers do not keep 28 sums in registers. `op` is the
 * instruction that the lanes_multiply_add is made of. */
#define DENSE_STEP(op, low, high, address)                                                         \
    "vpbroadcastd " address ", %%zmm30\n\t" op " %%zmm28, %%zmm30, %" #low "\n\t" op               \
    " %%zmm29, %%zmm30, %" #high "\n\t"
#define DENSE_SUM(m)  "=&v"(sums[m][0]), "=&v"(sums[m][1])
#define DENSE_ZERO(n) "vpxord %" #n ", %" #n ", %" #n "\n\t"

/* clang-format off */
#define DENSE_LARGE(b, op, sums)                                                                   \
    __asm__("movq (%28), %%r8\n\t"                                                                 \
            "movq 8(%28), %%r11\n\t"                                                               \
            "movq 16(%28), %%rsi\n\t"                                                              \
            "movq 24(%28), %%rdx\n\t"                                                              \
            "movq 32(%28), %%rdi\n\t"                                                              \
            "movq 40(%28), %%rax\n\t"                                                              \
            "shlq $2, %%rdx\n\t"                                                                   \
            "subq %%rdx, %%rax\n\t" /* from the end of a line to the next */                       \
            "leaq (%%r11,%%r11,2), %%rcx\n\t" /* three rows */                                     \
            "leaq (%%r8,%%r11,4), %%r9\n\t"                                                        \
            "addq %%r11, %%r9\n\t" /* pixel 5 */                                                   \
            "leaq (%%r9,%%r11,4), %%r10\n\t"                                                       \
            "addq %%r11, %%r10\n\t" /* pixel 10 */                                                 \
            DENSE_ZERO(0) DENSE_ZERO(1) DENSE_ZERO(2) DENSE_ZERO(3)                                \
            DENSE_ZERO(4) DENSE_ZERO(5) DENSE_ZERO(6) DENSE_ZERO(7)                                \
            DENSE_ZERO(8) DENSE_ZERO(9) DENSE_ZERO(10) DENSE_ZERO(11)                              \
            DENSE_ZERO(12) DENSE_ZERO(13) DENSE_ZERO(14) DENSE_ZERO(15)                            \
            DENSE_ZERO(16) DENSE_ZERO(17) DENSE_ZERO(18) DENSE_ZERO(19)                            \
            DENSE_ZERO(20) DENSE_ZERO(21) DENSE_ZERO(22) DENSE_ZERO(23)                            \
            DENSE_ZERO(24) DENSE_ZERO(25) DENSE_ZERO(26) DENSE_ZERO(27)                            \
            "2:\n\t"                                                                               \
            "movq 24(%28), %%rdx\n\t"                                                              \
            "1:\n\t"                                                                               \
            "vmovdqa64 (%%rsi), %%zmm28\n\t"                                                       \
            "vmovdqa64 64(%%rsi), %%zmm29\n\t"                                                     \
            "prefetcht0 %c29(%%rsi)\n\t"                                           \
            "prefetcht0 %c29+64(%%rsi)\n\t"                                        \
            DENSE_STEP(op, 0, 1, "(%%r8)")                                                         \
            DENSE_STEP(op, 2, 3, "(%%r8,%%r11)")                                                   \
            DENSE_STEP(op, 4, 5, "(%%r8,%%r11,2)")                                                 \
            DENSE_STEP(op, 6, 7, "(%%r8,%%rcx)")                                                   \
            DENSE_STEP(op, 8, 9, "(%%r8,%%r11,4)")                                                 \
            DENSE_STEP(op, 10, 11, "(%%r9)")                                                       \
            DENSE_STEP(op, 12, 13, "(%%r9,%%r11)")                                                 \
            DENSE_STEP(op, 14, 15, "(%%r9,%%r11,2)")                                               \
            DENSE_STEP(op, 16, 17, "(%%r9,%%rcx)")                                                 \
            DENSE_STEP(op, 18, 19, "(%%r9,%%r11,4)")                                               \
            DENSE_STEP(op, 20, 21, "(%%r10)")                                                      \
            DENSE_STEP(op, 22, 23, "(%%r10,%%r11)")                                                \
            DENSE_STEP(op, 24, 25, "(%%r10,%%r11,2)")                                              \
            DENSE_STEP(op, 26, 27, "(%%r10,%%rcx)")                                                \
            "addq $128, %%rsi\n\t"                                                                 \
            "addq $4, %%r8\n\t"                                                                    \
            "addq $4, %%r9\n\t"                                                                    \
            "addq $4, %%r10\n\t"                                                                   \
            "decq %%rdx\n\t"                                                                       \
            "jnz 1b\n\t"                                                                           \
            "addq %%rax, %%r8\n\t"                                                                 \
            "addq %%rax, %%r9\n\t"                                                                 \
            "addq %%rax, %%r10\n\t"                                                                \
            "decq %%rdi\n\t"                                                                       \
            "jnz 2b"                                                                               \
            : DENSE_SUM(0), DENSE_SUM(1), DENSE_SUM(2), DENSE_SUM(3), DENSE_SUM(4),                \
              DENSE_SUM(5), DENSE_SUM(6), DENSE_SUM(7), DENSE_SUM(8), DENSE_SUM(9),                \
              DENSE_SUM(10), DENSE_SUM(11), DENSE_SUM(12), DENSE_SUM(13)                           \
            : "r"(b), "i"(DENSE_AHEAD)                                                            \
            : "r8", "r9", "r10", "r11", "rax", "rcx", "rdx", "rsi", "rdi", "zmm28", "zmm29",       \
              "zmm30", "cc", "memory")
/* clang-format on */

/* The function of large blocks. */
#define DENSE_LARGE_FUNCTION(name, precision, op)                                                  \
    static void name(const struct dense_block *b)                                                  \
    {                                                                                              \
        dense_sums sums;                                                                           \
        dense_fetch_outputs(b, precision_size(precision));                                         \
        DENSE_LARGE(b, op, sums);                                                                  \
        dense_finish(b, DENSE_LARGE_PIXELS, precision, sums);                                      \
    }

#endif
