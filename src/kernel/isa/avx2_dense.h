/* The largest block of dense.h with AVX2, for all precisions. */
#ifndef RESNEXT_KERNEL_ISA_AVX2_DENSE_H
#define RESNEXT_KERNEL_ISA_AVX2_DENSE_H

#include "kernel/isa/avx2.h"
#include "kernel/isa/dense.h"

/* clang-format off */
/* The pixels of the block, and the address of dword `i` of each: r8 points to pixel 0; r11 is the
 * distance between pixels, rcx three times that, r9 five times. */
#define DENSE_PIXELS(X, separator, i, ...)                                                         \
    X(0, "4*" i "(%%r8)", __VA_ARGS__) separator                                                   \
    X(1, "4*" i "(%%r8,%%r11)", __VA_ARGS__) separator                                             \
    X(2, "4*" i "(%%r8,%%r11,2)", __VA_ARGS__) separator                                           \
    X(3, "4*" i "(%%r8,%%rcx)", __VA_ARGS__) separator                                             \
    X(4, "4*" i "(%%r8,%%r11,4)", __VA_ARGS__) separator                                           \
    X(5, "4*" i "(%%r8,%%r9)", __VA_ARGS__)

/* The micro-kernel is in assembly: gcc moves one of 12 accumulators between registers.
 * ADD(weights, sum) are the instructions of lanes_multiply_add for inputs in ymm15; ymm12 is free.
 * The loop is unrolled to DENSE_UNROLL dwords: the CPU predicts the end of a short enough
 * loop. rsi points 128 bytes behind the weights, so that displacements fit a byte. */
enum { DENSE_UNROLL = 4 };
#define DENSE_STEP(m, address, ADD)                                                                \
    "vbroadcastss " address ", %%ymm15\n\t"                                                        \
    ADD("%%ymm13", "%[low" #m "]") ADD("%%ymm14", "%[high" #m "]")
#define DENSE_DWORD(ADD, i)                                                                        \
    "vmovdqa 2*" DENSE_VECTOR "*" i "-128(%%rsi), %%ymm13\n\t"                                     \
    "vmovdqa 2*" DENSE_VECTOR "*" i "+" DENSE_VECTOR "-128(%%rsi), %%ymm14\n\t"                    \
    "prefetcht0 %c[ahead]+2*" DENSE_VECTOR "*" i "-128(%%rsi)\n\t"                                 \
    DENSE_PIXELS(DENSE_STEP, , i, ADD)
#define DENSE_LARGE_BLOCK(b, ADD, sums)                                                            \
    __asm__("movq " DENSE_FIELD(x) ", %%r8\n\t"                                                    \
            "movq " DENSE_FIELD(row) ", %%r11\n\t"                                                 \
            "movq " DENSE_FIELD(weights) ", %%rsi\n\t"                                             \
            "movq " DENSE_FIELD(dwords) ", %%rdx\n\t"                                              \
            "movq " DENSE_FIELD(lines) ", %%rdi\n\t"                                               \
            "movq " DENSE_FIELD(line) ", %%rax\n\t"                                                \
            "movq " DENSE_FIELD(next) ", %%r10\n\t"                                                \
            "shlq $2, %%rdx\n\t"                                                                   \
            "subq %%rdx, %%rax\n\t" /* from the end of a line to the next */                       \
            "leaq (%%r11,%%r11,2), %%rcx\n\t"                                                      \
            "leaq (%%r11,%%r11,4), %%r9\n\t"                                                       \
            "subq $-128, %%rsi\n\t"                                                                \
            DENSE_PIXELS(DENSE_ZERO, , "0", "vpxor")                                               \
            "2:\n\t"                                                                               \
            "movq " DENSE_FIELD(dwords) ", %%rdx\n\t"                                              \
            "subq %[unroll], %%rdx\n\t"                                                            \
            "jb 3f\n\t"                                                                            \
            ".p2align 6\n\t"                                                                       \
            "1:\n\t"                                                                               \
            DENSE_DWORD(ADD, "0") DENSE_DWORD(ADD, "1")                                            \
            DENSE_DWORD(ADD, "2") DENSE_DWORD(ADD, "3")                                            \
            "prefetcht1 (%%r10)\n\t"                                                               \
            "addq %[next], %%r10\n\t"                                                              \
            "addq $2*" DENSE_VECTOR "*%c[unroll], %%rsi\n\t"                                       \
            "addq $4*%c[unroll], %%r8\n\t"                                                         \
            "subq %[unroll], %%rdx\n\t"                                                            \
            "jae 1b\n\t"                                                                           \
            "3:\n\t"                                                                               \
            "addq %[unroll], %%rdx\n\t"                                                            \
            "jz 5f\n\t"                                                                            \
            "4:\n\t"                                                                               \
            DENSE_DWORD(ADD, "0")                                                                  \
            "addq $2*" DENSE_VECTOR ", %%rsi\n\t"                                                  \
            "addq $4, %%r8\n\t"                                                                    \
            "decq %%rdx\n\t"                                                                       \
            "jnz 4b\n\t"                                                                           \
            "5:\n\t"                                                                               \
            "addq %%rax, %%r8\n\t"                                                                 \
            "decq %%rdi\n\t"                                                                       \
            "jnz 2b"                                                                               \
            : DENSE_PIXELS(DENSE_SUM, DENSE_COMMA, "0", "=&x", sums)                               \
            : [block] "r"(b), [ahead] "i"(DENSE_AHEAD), [unroll] "i"(DENSE_UNROLL),                \
              [next] "i"(DENSE_UNROLL * DENSE_NEXT_BYTES)                                          \
            : "r8", "r9", "r10", "r11", "rax", "rcx", "rdx", "rsi", "rdi", "ymm12", "ymm13",       \
              "ymm14", "ymm15", "cc", "memory")
/* clang-format on */

#define DENSE_COUNT(...) +1
_Static_assert(DENSE_PIXELS(DENSE_COUNT, , "") == DENSE_LARGE, "DENSE_LARGE pixels");

#define DENSE_LARGE_FUNCTION(id, precision, ADD)                                                   \
    static void LEAF_TILE(id, DENSE_LARGE, 2)(const struct dense_block *b)                         \
    {                                                                                              \
        dense_sums sums;                                                                           \
        DENSE_LARGE_BLOCK(b, ADD, sums);                                                           \
        dense_epilogue(b, DENSE_LARGE, precision, sums);                                           \
    }

#endif
