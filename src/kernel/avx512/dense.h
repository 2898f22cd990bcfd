/* Blocks of dense.h on 512-bit vectors: 14 pixels x 32 channels, and less. */
#ifndef RESNEXT_KERNEL_AVX512_DENSE_H
#define RESNEXT_KERNEL_AVX512_DENSE_H

#include "kernel/avx512/lanes.h"
#include "kernel/dense.h"

enum {
    DENSE_PIXELS = 14, /* 28 sums, two weights and an input: all but one of the 32 registers */
    DENSE_PANEL = 2 * LANES,
    DENSE_AHEAD = 3072, /* bytes of weights fetched before they are used */
    DENSE_CACHED = 512 * 1024, /* half the L2 cache */
};

typedef __m512i dense_sums[DENSE_PIXELS][2];

LANES_INLINE void dense_finish_lanes(const struct dense_block *b, int pixels,
                                     lanes_finish_function finish, dense_sums sums,
                                     __mmask16 low_mask, __mmask16 high_mask)
{
    struct lanes_finish low = b->finish, high = b->finish;
    size_t at = b->at, out_c = b->out_c;
    high.factors += LANES;
#pragma GCC unroll 14
    for (int m = 0; m < pixels; m++, at += out_c) {
        finish(&low, at, low_mask, sums[m][0]);
        finish(&high, at + LANES, high_mask, sums[m][1]);
    }
}

/* All panels but the last are full, and stores without a mask are faster. */
LANES_INLINE void dense_finish(const struct dense_block *b, int pixels,
                               lanes_finish_function finish, dense_sums sums)
{
    if (b->channels == DENSE_PANEL)
        dense_finish_lanes(b, pixels, finish, sums, 0xffff, 0xffff);
    else
        dense_finish_lanes(b, pixels, finish, sums, lanes_mask(b->channels),
                           lanes_mask(b->channels - LANES));
}

/* Has the outputs' lines, where the residual often lies, brought into the cache meanwhile. */
LANES_INLINE void dense_fetch_outputs(const struct dense_block *b, size_t element)
{
    const unsigned char *y = (const unsigned char *)b->finish.y + b->at * element;
#pragma GCC unroll 14
    for (int m = 0; m < DENSE_PIXELS; m++, y += b->out_c * element) {
        __builtin_prefetch(y, 1, 3);
        if (element == 4)
            __builtin_prefetch(y + LANES_BYTES, 1, 3);
    }
}

/* A block function of at most 7 pixels, for constant arguments but the first. */
LANES_INLINE void dense_small(const struct dense_block *b, int pixels,
                              lanes_multiply_add multiply_add, lanes_finish_function finish)
{
    const unsigned char *x = b->x, *w = b->weights;
    size_t row = b->row;
    dense_sums sums;
#pragma GCC unroll 14
    for (int m = 0; m < pixels; m++)
        sums[m][0] = sums[m][1] = _mm512_setzero_si512();
    for (size_t line = 0; line < b->lines; line++, x += b->line - b->dwords * 4)
        for (size_t d = 0; d < b->dwords; d++, x += 4, w += 2 * LANES_BYTES) {
            __m512i w0 = _mm512_load_si512(w), w1 = _mm512_load_si512(w + LANES_BYTES);
            _mm_prefetch((const char *)w + DENSE_AHEAD, _MM_HINT_T0);
            _mm_prefetch((const char *)w + DENSE_AHEAD + LANES_BYTES, _MM_HINT_T0);
#pragma GCC unroll 14
            for (int m = 0; m < pixels; m++) {
                __m512i v = _mm512_set1_epi32(*(const lanes_dword *)(x + (size_t)m * row));
                sums[m][0] = multiply_add(sums[m][0], v, w0);
                sums[m][1] = multiply_add(sums[m][1], v, w1);
            }
        }
    dense_finish(b, pixels, finish, sums);
}

/* The block of 14 pixels, in assembly: compilers do not keep 28 sums in registers. `op` is the
 * instruction that lanes_multiply_add is made of. */
#define DENSE_AHEAD_TEXT "3072"
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
            "prefetcht0 " DENSE_AHEAD_TEXT "(%%rsi)\n\t"                                           \
            "prefetcht0 " DENSE_AHEAD_TEXT "+64(%%rsi)\n\t"                                        \
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
            : "r"(b)                                                                               \
            : "r8", "r9", "r10", "r11", "rax", "rcx", "rdx", "rsi", "rdi", "zmm28", "zmm29",       \
              "zmm30", "cc", "memory")
/* clang-format on */

#endif
