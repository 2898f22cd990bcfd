/* The largest block of dense.h with AVX-512, for all precisions. */
#ifndef RESNEXT_KERNEL_ISA_AVX512_DENSE_H
#define RESNEXT_KERNEL_ISA_AVX512_DENSE_H

#include "kernel/isa/avx512.h"
#include "kernel/isa/dense.h"

/* Prefetches the outputs' cache lines, which often hold the residual; sums are in the cache. */
LANES_INLINE void dense_fetch_outputs(const struct dense_block *b, enum precision precision)
{
    size_t size = conv_output_size(precision, b->epilogue.output), bytes = 2 * LANES * size;
    const unsigned char *y = (const unsigned char *)b->epilogue.y + b->at * size;
    if (precision == PRECISION_INT8 && b->epilogue.output == CONV_OUTPUT_FLOAT)
        return;
#pragma GCC unroll 14
    for (int m = 0; m < DENSE_LARGE; m++, y += b->out_c * size) {
        __builtin_prefetch(y, 1, 3);
        if (bytes > LANES_BYTES)
            __builtin_prefetch(y + LANES_BYTES, 1, 3);
    }
}

/* clang-format off */
/* The pixels of the block, and their addresses: r8 points to pixel 0, r9 to pixel 5, r10 to pixel
 * 10; r11 is the distance between pixels, rcx three times that. */
#define DENSE_PIXELS(X, separator, ...)                                                            \
    X(0, "(%%r8)", __VA_ARGS__) separator                                                          \
    X(1, "(%%r8,%%r11)", __VA_ARGS__) separator                                                    \
    X(2, "(%%r8,%%r11,2)", __VA_ARGS__) separator                                                  \
    X(3, "(%%r8,%%rcx)", __VA_ARGS__) separator                                                    \
    X(4, "(%%r8,%%r11,4)", __VA_ARGS__) separator                                                  \
    X(5, "(%%r9)", __VA_ARGS__) separator                                                          \
    X(6, "(%%r9,%%r11)", __VA_ARGS__) separator                                                    \
    X(7, "(%%r9,%%r11,2)", __VA_ARGS__) separator                                                  \
    X(8, "(%%r9,%%rcx)", __VA_ARGS__) separator                                                    \
    X(9, "(%%r9,%%r11,4)", __VA_ARGS__) separator                                                  \
    X(10, "(%%r10)", __VA_ARGS__) separator                                                        \
    X(11, "(%%r10,%%r11)", __VA_ARGS__) separator                                                  \
    X(12, "(%%r10,%%r11,2)", __VA_ARGS__) separator                                                \
    X(13, "(%%r10,%%rcx)", __VA_ARGS__)

/* The micro-kernel is in assembly: compilers do not keep 28 accumulators in registers. `op` is the
 * instruction of lanes_multiply_add. */
#define DENSE_STEP(m, address, op)                                                                 \
    "vpbroadcastd " address ", %%zmm30\n\t"                                                        \
    op " %%zmm28, %%zmm30, %[low" #m "]\n\t"                                                       \
    op " %%zmm29, %%zmm30, %[high" #m "]\n\t"
#define DENSE_LARGE_BLOCK(b, op, sums)                                                             \
    __asm__("movq " DENSE_FIELD(x) ", %%r8\n\t"                                                    \
            "movq " DENSE_FIELD(row) ", %%r11\n\t"                                                 \
            "movq " DENSE_FIELD(weights) ", %%rsi\n\t"                                             \
            "movq " DENSE_FIELD(dwords) ", %%rdx\n\t"                                              \
            "movq " DENSE_FIELD(lines) ", %%rdi\n\t"                                               \
            "movq " DENSE_FIELD(line) ", %%rax\n\t"                                                \
            "shlq $2, %%rdx\n\t"                                                                   \
            "subq %%rdx, %%rax\n\t" /* from the end of a line to the next */                       \
            "leaq (%%r11,%%r11,2), %%rcx\n\t"                                                      \
            "leaq (%%r8,%%r11,4), %%r9\n\t"                                                        \
            "addq %%r11, %%r9\n\t"                                                                 \
            "leaq (%%r9,%%r11,4), %%r10\n\t"                                                       \
            "addq %%r11, %%r10\n\t"                                                                \
            DENSE_PIXELS(DENSE_ZERO, , "vpxord")                                                   \
            "2:\n\t"                                                                               \
            "movq " DENSE_FIELD(dwords) ", %%rdx\n\t"                                              \
            "1:\n\t"                                                                               \
            "vmovdqa64 (%%rsi), %%zmm28\n\t"                                                       \
            "vmovdqa64 " DENSE_VECTOR "(%%rsi), %%zmm29\n\t"                                       \
            "prefetcht0 %c[ahead](%%rsi)\n\t"                                                      \
            "prefetcht0 %c[ahead]+" DENSE_VECTOR "(%%rsi)\n\t"                                     \
            DENSE_PIXELS(DENSE_STEP, , op)                                                         \
            "addq $2*" DENSE_VECTOR ", %%rsi\n\t"                                                  \
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
            : DENSE_PIXELS(DENSE_SUM, DENSE_COMMA, "=&v", sums)                                    \
            : [block] "r"(b), [ahead] "i"(DENSE_AHEAD)                                             \
            : "r8", "r9", "r10", "r11", "rax", "rcx", "rdx", "rsi", "rdi", "zmm28", "zmm29",       \
              "zmm30", "cc", "memory")
/* clang-format on */

#define DENSE_COUNT(...) +1
_Static_assert(DENSE_PIXELS(DENSE_COUNT, , ) == DENSE_LARGE, "DENSE_LARGE pixels");

#define DENSE_LARGE_FUNCTION(id, precision, op)                                                    \
    static void LEAF_TILE(id, DENSE_LARGE, 2)(const struct dense_block *b)                         \
    {                                                                                              \
        dense_sums sums;                                                                           \
        dense_fetch_outputs(b, precision);                                                         \
        DENSE_LARGE_BLOCK(b, op, sums);                                                            \
        dense_epilogue(b, DENSE_LARGE, precision, sums);                                           \
    }

#endif
