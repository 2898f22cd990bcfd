/* Large blocks of dense.h with AVX2, for all precisions. */
#ifndef RESNEXT_KERNEL_ISA_AVX2_DENSE_H
#define RESNEXT_KERNEL_ISA_AVX2_DENSE_H

#include "kernel/isa/avx2.h"
#include "kernel/isa/dense.h"

/* The block of 6 pixels, in assembly: gcc moves one of 12 sums about. ADD(weights, sum) are the
 * instructions of lanes_multiply_add for inputs in ymm15; ymm12 is free. The loop takes 4 dwords at
 * a time: the end of one that is short enough is foreseen. rsi points 128 bytes behind the weights,
 * so that what is loaded is at distances that fit a byte. */
#define DENSE_STEP(ADD, low, high, address)                                                        \
    "vbroadcastss " address ", %%ymm15\n\t" ADD("%%ymm13", "%" #low) ADD("%%ymm14", "%" #high)
#define DENSE_SUM(m)  "=&x"(sums[m][0]), "=&x"(sums[m][1])
#define DENSE_ZERO(n) "vpxor %" #n ", %" #n ", %" #n "\n\t"

/* clang-format off */
#define DENSE_DWORD(ADD, i)                                                                        \
    "vmovdqa 64*" i "-128(%%rsi), %%ymm13\n\t"                                                     \
    "vmovdqa 64*" i "-96(%%rsi), %%ymm14\n\t"                                                      \
    "prefetcht0 %c13+64*" i "-128(%%rsi)\n\t"                                                      \
    DENSE_STEP(ADD, 0, 1, "4*" i "(%%r8)")                                                         \
    DENSE_STEP(ADD, 2, 3, "4*" i "(%%r8,%%r11)")                                                   \
    DENSE_STEP(ADD, 4, 5, "4*" i "(%%r8,%%r11,2)")                                                 \
    DENSE_STEP(ADD, 6, 7, "4*" i "(%%r8,%%rcx)")                                                   \
    DENSE_STEP(ADD, 8, 9, "4*" i "(%%r8,%%r11,4)")                                                 \
    DENSE_STEP(ADD, 10, 11, "4*" i "(%%r8,%%r9)")
#define DENSE_LARGE(b, ADD, sums)                                                                  \
    __asm__("movq (%12), %%r8\n\t"                                                                 \
            "movq 8(%12), %%r11\n\t"                                                               \
            "movq 16(%12), %%rsi\n\t"                                                              \
            "movq 24(%12), %%rdx\n\t"                                                              \
            "movq 32(%12), %%rdi\n\t"                                                              \
            "movq 40(%12), %%rax\n\t"                                                              \
            "movq 48(%12), %%r10\n\t"                                                              \
            "shlq $2, %%rdx\n\t"                                                                   \
            "subq %%rdx, %%rax\n\t" /* from the end of a line to the next */                       \
            "leaq (%%r11,%%r11,2), %%rcx\n\t" /* three rows */                                     \
            "leaq (%%r11,%%r11,4), %%r9\n\t" /* five rows */                                       \
            "subq $-128, %%rsi\n\t"                                                                \
            DENSE_ZERO(0) DENSE_ZERO(1) DENSE_ZERO(2) DENSE_ZERO(3) DENSE_ZERO(4) DENSE_ZERO(5)    \
            DENSE_ZERO(6) DENSE_ZERO(7) DENSE_ZERO(8) DENSE_ZERO(9) DENSE_ZERO(10) DENSE_ZERO(11)  \
            "2:\n\t"                                                                               \
            "movq 24(%12), %%rdx\n\t"                                                              \
            "subq $4, %%rdx\n\t"                                                                   \
            "jb 3f\n\t"                                                                            \
            ".p2align 6\n\t"                                                                       \
            "1:\n\t"                                                                               \
            DENSE_DWORD(ADD, "0") DENSE_DWORD(ADD, "1")                                            \
            DENSE_DWORD(ADD, "2") DENSE_DWORD(ADD, "3")                                            \
            "prefetcht1 (%%r10)\n\t"                                                               \
            "addq %14, %%r10\n\t"                                                                  \
            "addq $256, %%rsi\n\t"                                                                 \
            "addq $16, %%r8\n\t"                                                                   \
            "subq $4, %%rdx\n\t"                                                                   \
            "jae 1b\n\t"                                                                           \
            "3:\n\t"                                                                               \
            "addq $4, %%rdx\n\t"                                                                   \
            "jz 5f\n\t"                                                                            \
            "4:\n\t"                                                                               \
            DENSE_DWORD(ADD, "0")                                                                  \
            "addq $64, %%rsi\n\t"                                                                  \
            "addq $4, %%r8\n\t"                                                                    \
            "decq %%rdx\n\t"                                                                       \
            "jnz 4b\n\t"                                                                           \
            "5:\n\t"                                                                               \
            "addq %%rax, %%r8\n\t"                                                                 \
            "decq %%rdi\n\t"                                                                       \
            "jnz 2b"                                                                               \
            : DENSE_SUM(0), DENSE_SUM(1), DENSE_SUM(2), DENSE_SUM(3), DENSE_SUM(4), DENSE_SUM(5)   \
            : "r"(b), "i"(DENSE_AHEAD), "i"(4 * DENSE_NEXT_BYTES)                                  \
            : "r8", "r9", "r10", "r11", "rax", "rcx", "rdx", "rsi", "rdi", "ymm12", "ymm13",       \
              "ymm14", "ymm15", "cc", "memory")
/* clang-format on */

/* The function of large blocks. */
#define DENSE_LARGE_FUNCTION(name, precision, ADD)                                                 \
    static void name(const struct dense_block *b)                                                  \
    {                                                                                              \
        dense_sums sums;                                                                           \
        DENSE_LARGE(b, ADD, sums);                                                                 \
        dense_finish(b, DENSE_LARGE_PIXELS, precision, sums);                                      \
    }

#endif
