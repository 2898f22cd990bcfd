/* Packing of inputs: a lanes_copy_function for each kind of element. */
#ifndef RESNEXT_KERNEL_ISA_COPY_H
#define RESNEXT_KERNEL_ISA_COPY_H

#include "kernel/isa/vectors.h"

/* Unchanged elements. The sizes of copies are constants: a call of memcpy takes longer than most.
 */
static inline void LEAF_NAME(copy)(unsigned char *to, size_t to_step, const unsigned char *from,
                                   size_t from_step, size_t bytes, size_t times)
{
    for (; times > 0; times--, to += to_step, from += from_step) {
        size_t i = 0;
        for (; i + LANES_BYTES <= bytes; i += LANES_BYTES)
            memcpy(to + i, from + i, LANES_BYTES);
#pragma GCC unroll 6
        for (size_t piece = LANES_BYTES / 2; piece > 0; piece /= 2)
            if (bytes & piece) {
                memcpy(to + i, from + i, piece);
                i += piece;
            }
    }
}

/* bfloat16 is widened to float32. */
static inline void LEAF_NAME(bf16_copy_widened)(unsigned char *to, size_t to_step,
                                                const unsigned char *from, size_t from_step,
                                                size_t bytes, size_t times)
{
    for (; times > 0; times--, to += to_step, from += from_step) {
        size_t i = 0;
        for (; i + sizeof(vec_halves) <= bytes; i += sizeof(vec_halves)) {
            vec_halves halves;
            memcpy(&halves, from + i, sizeof halves);
            vec wide = __builtin_convertvector(halves, vec) << 16;
            memcpy(to + 2 * i, &wide, sizeof wide);
        }
        for (; i < bytes; i += sizeof(uint16_t)) {
            uint16_t half;
            memcpy(&half, from + i, sizeof half);
            *(lanes_dword *)(to + 2 * i) = (int32_t)((uint32_t)half << 16);
        }
    }
}

/* Not inlined: the compiler would set up vectors for it in every call. */
static __attribute__((noinline)) void
LEAF_NAME(int8_widen_few)(unsigned char *to, const unsigned char *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        to[2 * i] = from[i];
        to[2 * i + 1] = 0;
    }
}

/* Bytes are widened to 16 bits. */
static inline void LEAF_NAME(int8_copy_widened)(unsigned char *to, size_t to_step,
                                                const unsigned char *from, size_t from_step,
                                                size_t bytes, size_t times)
{
    typedef uint16_t words __attribute__((vector_size(LANES_BYTES)));
    typedef uint8_t half_words __attribute__((vector_size(LANES_BYTES / 2)));
    for (; times > 0; times--, to += to_step, from += from_step) {
        size_t i = 0;
        for (; i + sizeof(half_words) <= bytes; i += sizeof(half_words)) {
            half_words narrow;
            memcpy(&narrow, from + i, sizeof narrow);
            words wide = __builtin_convertvector(narrow, words);
            memcpy(to + 2 * i, &wide, sizeof wide);
        }
        if (i < bytes)
            LEAF_NAME(int8_widen_few)(to + 2 * i, from + i, bytes - i);
    }
}

#endif
