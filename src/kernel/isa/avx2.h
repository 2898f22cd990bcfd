/* Primitives of 256-bit vectors, with AVX2 and FMA: see vectors.h. */
#ifndef RESNEXT_KERNEL_ISA_AVX2_H
#define RESNEXT_KERNEL_ISA_AVX2_H

#include <immintrin.h>

enum { LANES = 8 };
#include "kernel/isa/vectors.h"

LANES_INLINE vecf vec_fma(vecf a, vecf b, vecf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

LANES_INLINE vecf vec_relu(vecf v)
{
    return _mm256_max_ps(_mm256_setzero_ps(), v); /* of a NaN and a number, the second */
}

LANES_INLINE vecf vec_from_bytes(const uint8_t from[LANES])
{
    __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)from);
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
}

/* What is too small for an integer becomes the smallest one, and is then packed as 0. */
LANES_INLINE vec_bytes vec_to_bytes(vecf v)
{
    __m256i whole = _mm256_cvtps_epi32(_mm256_min_ps(_mm256_set1_ps(255), v));
    __m128i words =
        _mm_packus_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    uint64_t bytes = (uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(words, words));
    return (vec_bytes)bytes;
}

LANES_INLINE vec_halves vec_to_halves(vecf v)
{
    __m256i bits = (__m256i)vec_round_halves(v);
    return (vec_halves)_mm_packus_epi32(_mm256_castsi256_si128(bits),
                                        _mm256_extracti128_si256(bits, 1));
}

/* 12 sums, two weights, an input and a product: all 16 registers. Half the L2 cache of the CPUs of
 * AMD. */
enum { DENSE_LARGE_PIXELS = 6, DENSE_CACHED = 256 * 1024 };
#define DENSE_SIZES(X, ...) X(4, __VA_ARGS__) X(3, __VA_ARGS__) X(2, __VA_ARGS__) X(1, __VA_ARGS__)
/* 8 sums; three weights, an input, its permutation, a product. Those of GROUPED_CHAINS have sums of
 * their own for each product of a pixel, if they are few. */
#define GROUPED_SIZES(X, ...)                                                                      \
    X(8, __VA_ARGS__)                                                                              \
    X(7, __VA_ARGS__)                                                                              \
    X(6, __VA_ARGS__) X(4, __VA_ARGS__) X(2, __VA_ARGS__) X(1, __VA_ARGS__)
#define GROUPED_CHAINS(X, ...)                                                                     \
    X(8, __VA_ARGS__)                                                                              \
    X(4, __VA_ARGS__) X(3, __VA_ARGS__) X(2, __VA_ARGS__) X(1, __VA_ARGS__)
#include "kernel/isa/dense.h"
#include "kernel/isa/grouped.h"

/* For 128 bits of inputs of a vector's channels, or of four dwords that the lanes do not leave. */
LANES_INLINE vec permute_within(__m256i x, vec lanes)
{
    return (vec)_mm256_permutevar_ps((__m256)x, (__m256i)lanes);
}

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
    DENSE_STEP(ADD, 8, 9, "4*" i "(%%r8,%%r11,4)")                                                \
    DENSE_STEP(ADD, 10, 11, "4*" i "(%%r8,%%r9)")
#define DENSE_LARGE(b, ADD, sums)                                                               \
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
            : DENSE_SUM(0), DENSE_SUM(1), DENSE_SUM(2), DENSE_SUM(3), DENSE_SUM(4), DENSE_SUM(5)  \
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
