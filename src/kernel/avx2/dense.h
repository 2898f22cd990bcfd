/* Blocks of kernel/dense.h on 256-bit vectors: 6 pixels x 16 channels, and less. */
#ifndef RESNEXT_KERNEL_AVX2_DENSE_H
#define RESNEXT_KERNEL_AVX2_DENSE_H

#include "kernel/avx2/lanes.h"
#include "kernel/dense.h"

enum {
    DENSE_PIXELS = 6, /* 12 sums, two weights, an input and a product: all 16 registers */
    DENSE_PANEL = 2 * LANES,
    DENSE_AHEAD = 3072, /* bytes of weights fetched before they are used */
    DENSE_CACHED = 256 * 1024, /* half the L2 cache of the CPUs of AMD */
};

LANES_INLINE void dense_finish_lanes(const struct dense_block *b, struct lanes_finish first,
                                     int pixels, int channels, lanes_finish_function finish,
                                     const __m256i low[DENSE_PIXELS],
                                     const __m256i high[DENSE_PIXELS])
{
    struct lanes_finish second = first;
    size_t at = b->at, out_c = b->out_c;
    second.factors += LANES;
#pragma GCC unroll 6
    for (int m = 0; m < pixels; m++, at += out_c) {
        __asm__("" : "+r"(at)); /* or all addresses are computed first, and kept on the stack */
        finish(&first, at, channels, low[m]);
        if (channels > LANES)
            finish(&second, at + LANES, channels - LANES, high[m]);
    }
}

/* All panels but the last are full, and most have ReLU. */
LANES_INLINE void dense_finish(const struct dense_block *b, int pixels,
                               lanes_finish_function finish, const __m256i low[DENSE_PIXELS],
                               const __m256i high[DENSE_PIXELS])
{
    const struct lanes_finish *f = &b->finish;
    if (b->channels < DENSE_PANEL)
        dense_finish_lanes(b, *f, pixels, b->channels, finish, low, high);
    else if (f->residual && f->relu)
        dense_finish_lanes(b, lanes_finish_known(f, true, true), pixels, DENSE_PANEL, finish, low,
                           high);
    else if (!f->residual && f->relu)
        dense_finish_lanes(b, lanes_finish_known(f, false, true), pixels, DENSE_PANEL, finish, low,
                           high);
    else
        dense_finish_lanes(b, *f, pixels, DENSE_PANEL, finish, low, high);
}

/* A block function, for constant arguments but the first. */
LANES_INLINE void dense_pixels(const struct dense_block *b, int pixels,
                               lanes_multiply_add multiply_add, lanes_finish_function finish)
{
    const unsigned char *x = b->x, *w = b->weights;
    size_t row = b->row;
    __m256i low[DENSE_PIXELS], high[DENSE_PIXELS];
#pragma GCC unroll 6
    for (int m = 0; m < pixels; m++)
        low[m] = high[m] = _mm256_setzero_si256();
    for (size_t line = 0; line < b->lines; line++, x += b->line - b->dwords * 4)
        for (size_t d = 0; d < b->dwords; d++, x += 4, w += 2 * LANES_BYTES) {
            __m256i w0 = _mm256_load_si256((const __m256i *)w);
            __m256i w1 = _mm256_load_si256((const __m256i *)(w + LANES_BYTES));
            _mm_prefetch((const char *)w + DENSE_AHEAD, _MM_HINT_T0);
#pragma GCC unroll 6
            for (int m = 0; m < pixels; m++) {
                __m256i v = _mm256_set1_epi32(*(const lanes_dword *)(x + (size_t)m * row));
                low[m] = multiply_add(low[m], v, w0);
                high[m] = multiply_add(high[m], v, w1);
            }
        }
    dense_finish(b, pixels, finish, low, high);
}

/* The block of 6 pixels, in assembly: gcc moves one of 12 sums about. ADD(weights, sum) are the
 * instructions of lanes_multiply_add for inputs in ymm15; ymm12 is free. The loop takes 4 dwords at
 * a time: the end of one that is short enough is foreseen. rsi points 128 bytes behind the weights,
 * so that what is loaded is at distances that fit a byte. */
#define DENSE_STEP(ADD, low, high, address)                                                        \
    "vbroadcastss " address ", %%ymm15\n\t" ADD("%%ymm13", "%" #low) ADD("%%ymm14", "%" #high)
#define DENSE_ZERO(n) "vpxor %" #n ", %" #n ", %" #n "\n\t"

/* clang-format off */
#define DENSE_DWORD(ADD, i)                                                                        \
    "vmovdqa 64*" i "-128(%%rsi), %%ymm13\n\t"                                                     \
    "vmovdqa 64*" i "-96(%%rsi), %%ymm14\n\t"                                                      \
    "prefetcht0 %c13+64*" i "-128(%%rsi)\n\t"                                                      \
    DENSE_STEP(ADD, 0, 6, "4*" i "(%%r8)")                                                         \
    DENSE_STEP(ADD, 1, 7, "4*" i "(%%r8,%%r11)")                                                   \
    DENSE_STEP(ADD, 2, 8, "4*" i "(%%r8,%%r11,2)")                                                 \
    DENSE_STEP(ADD, 3, 9, "4*" i "(%%r8,%%rcx)")                                                   \
    DENSE_STEP(ADD, 4, 10, "4*" i "(%%r8,%%r11,4)")                                                \
    DENSE_STEP(ADD, 5, 11, "4*" i "(%%r8,%%r9)")
#define DENSE_LARGE(b, ADD, low, high)                                                             \
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
            : "=&x"(low[0]), "=&x"(low[1]), "=&x"(low[2]), "=&x"(low[3]), "=&x"(low[4]),           \
              "=&x"(low[5]), "=&x"(high[0]), "=&x"(high[1]), "=&x"(high[2]), "=&x"(high[3]),       \
              "=&x"(high[4]), "=&x"(high[5])                                                       \
            : "r"(b), "i"(DENSE_AHEAD), "i"(4 * DENSE_NEXT_BYTES)                                  \
            : "r8", "r9", "r10", "r11", "rax", "rcx", "rdx", "rsi", "rdi", "ymm12", "ymm13",       \
              "ymm14", "ymm15", "cc", "memory")
/* clang-format on */

#endif
