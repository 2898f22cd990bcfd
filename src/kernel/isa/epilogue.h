/* The epilogue: accumulators become outputs. */
#ifndef RESNEXT_KERNEL_ISA_EPILOGUE_H
#define RESNEXT_KERNEL_ISA_EPILOGUE_H

#include "kernel/isa/vectors.h"

/* The numbers that the sums of a vector stand for; `at` is that of its first element. */
LANES_INLINE vecf vec_numbers(enum precision precision, const struct lanes_epilogue *f, size_t at,
                              vec sum)
{
    const bool bytes = precision == PRECISION_INT8;
    const float *factors = f->factors;
    vecf v;
    if (bytes)
        v = vec_fma(__builtin_convertvector(sum, vecf), vecf_load(factors),
                    vecf_load(factors + f->factor_stride));
    else
        v = (vecf)sum + vecf_load(factors);
    if (f->shortcut && bytes)
        v = vec_fma(vecf_load(f->shortcut), vecf_load(factors + 2 * f->factor_stride), v);
    else if (f->shortcut)
        v += vecf_load(f->shortcut);
    else if (f->residual && bytes)
        v = vec_fma(vec_get(precision, f->residual, at), vecf_load(factors + 2 * f->factor_stride),
                    v);
    else if (f->residual)
        v += vec_get(precision, f->residual, at);
    return v;
}

/* Writes the outputs of a vector of sums to elements `at`.. of y; in int8 those of requantize() in
 * kernel/quantize.h. */
LANES_INLINE void vec_epilogue(enum precision precision, const struct lanes_epilogue *f, size_t at,
                               vec sum)
{
    const bool bytes = precision == PRECISION_INT8;
    vecf v = vec_numbers(precision, f, at, sum);
    if (f->relu && (!bytes || f->output == CONV_OUTPUT_FLOAT))
        v = vec_relu(v);
    if (bytes && f->output == CONV_OUTPUT_WORD)
        vec_put_words(f->y, at, v);
    else
        vec_put(f->output == CONV_OUTPUT_FLOAT ? PRECISION_F32 : precision, f->y, at, v);
}

/* The same for the first `count` lanes only, up to all of them. */
LANES_INLINE void vec_epilogue_few(enum precision precision, const struct lanes_epilogue *f,
                                   size_t at, int count, vec sum)
{
    size_t size = precision_size(precision), out = conv_output_size(precision, f->output);
    size_t elements = (size_t)(count < 0 ? 0 : count < LANES ? count : LANES);
    unsigned char residual[LANES_BYTES] = {0}, y[LANES_BYTES];
    struct lanes_epilogue whole = *f;
    if (f->residual) {
        memcpy(residual, (const unsigned char *)f->residual + at * size, elements * size);
        whole.residual = residual;
    }
    whole.y = y;
    vec_epilogue(precision, &whole, 0, sum);
    memcpy((unsigned char *)f->y + at * out, y, elements * out);
}

/* The shape of sums, [pixels][vectors], and where their outputs go: the first to element `at`,
 * pixels out_c elements apart. `channels` exist, from the first vector on. */
struct vec_sums {
    size_t at, out_c;
    int channels, pixels, vectors;
};

/* `f` for vector `v` of pixel `m`. */
LANES_INLINE struct lanes_epilogue vec_epilogue_at(const struct lanes_epilogue *f, int m, int v,
                                                   int vectors)
{
    struct lanes_epilogue own = *f;
    own.factors += v * LANES;
    own.shortcut = f->shortcut ? f->shortcut + (m * vectors + v) * LANES : NULL;
    return own;
}

/* The numbers of pixel m, of two vectors. */
LANES_INLINE void vec_numbers_2(const struct lanes_epilogue *f, int m, size_t at, const vec *sums,
                                vecf numbers[2])
{
#pragma GCC unroll 2
    for (int v = 0; v < 2; v++) {
        const struct lanes_epilogue own = vec_epilogue_at(f, m, v, 2);
        numbers[v] = vec_numbers(PRECISION_INT8, &own, at + (size_t)v * LANES, sums[2 * m + v]);
    }
}

/* Writes the outputs of pixels m and m + 1 in int8, of two vectors each. */
LANES_INLINE void vec_epilogue_4(const struct lanes_epilogue *f, const struct vec_sums *s, int m,
                                 const vec *sums)
{
    vecf numbers[4];
    size_t second = s->at + s->out_c;
    vec_numbers_2(f, m, s->at, sums, numbers);
    vec_numbers_2(f, m + 1, second, sums, numbers + 2);
    if (f->output == CONV_OUTPUT_ELEMENT) {
        vec_put_bytes_4((uint8_t *)f->y + s->at, s->out_c, numbers);
    } else {
        vec_put_words_2((uint16_t *)f->y + s->at, numbers);
        vec_put_words_2((uint16_t *)f->y + second, numbers + 2);
    }
}

LANES_INLINE void vec_epilogue_full(enum precision precision, struct lanes_epilogue f,
                                    struct vec_sums s, const vec *sums)
{
    const bool packs =
        precision == PRECISION_INT8 && f.output != CONV_OUTPUT_FLOAT && f.bounded && s.vectors == 2;
    const int packed = packs ? s.pixels / 2 * 2 : 0;
#pragma GCC unroll 7
    for (int m = 0; m < packed; m += 2, s.at += 2 * s.out_c) {
        __asm__("" : "+r"(s.at)); /* or gcc computes all addresses first and spills them */
        vec_epilogue_4(&f, &s, m, sums);
    }
#pragma GCC unroll 14
    for (int m = packed; m < s.pixels; m++, s.at += s.out_c) {
        __asm__("" : "+r"(s.at));
#pragma GCC unroll 2
        for (int v = 0; v < s.vectors; v++) {
            const struct lanes_epilogue own = vec_epilogue_at(&f, m, v, s.vectors);
            vec_epilogue(precision, &own, s.at + (size_t)v * LANES, sums[m * s.vectors + v]);
        }
    }
}

/* Where some channels do not exist. */
static __attribute__((noinline)) void LEAF_NAME(vec_epilogue_edge)(enum precision precision,
                                                                   struct lanes_epilogue f,
                                                                   struct vec_sums s,
                                                                   const vec *sums)
{
    const float *factors = f.factors, *shortcut = f.shortcut;
    for (int i = 0; i < s.pixels * s.vectors; i++) {
        int m = i / s.vectors, first = i % s.vectors * LANES;
        f.factors = factors + first;
        f.shortcut = shortcut ? shortcut + i * LANES : NULL;
        vec_epilogue_few(precision, &f, s.at + (size_t)m * s.out_c + (size_t)first,
                         s.channels - first, sums[i]);
    }
}

/* `f` with properties known to the compiler: so vec_epilogue() has no branches. */
LANES_INLINE struct lanes_epilogue vec_known(const struct lanes_epilogue *f, bool residual,
                                             bool shortcut, enum conv_output output)
{
    struct lanes_epilogue known = *f;
    if (residual != (known.residual != NULL) || shortcut != (known.shortcut != NULL))
        __builtin_unreachable();
    known.relu = output != CONV_OUTPUT_FLOAT;
    known.output = output;
    known.bounded = true;
    return known;
}

/* Whether vec_known() may be said of `f`. */
LANES_INLINE bool vec_is_known(enum precision precision, const struct lanes_epilogue *f,
                               int vectors)
{
    if (f->output == CONV_OUTPUT_FLOAT)
        return !f->relu && !f->residual && !f->shortcut;
    return precision == PRECISION_INT8 ? f->bounded || vectors == 1 : f->relu;
}

/* Writes the outputs of at most 28 sums. Usually all channels exist and have ReLU. (The edge gets a
 * copy, so that otherwise sums can stay in registers.) */
LANES_INLINE void vec_epilogue_all(enum precision precision, const struct lanes_epilogue *f,
                                   struct vec_sums s, const vec *sums)
{
    if (s.channels < s.vectors * LANES) {
        vec copy[28];
#pragma GCC unroll 28
        for (int i = 0; i < s.pixels * s.vectors; i++)
            copy[i] = sums[i];
        LEAF_NAME(vec_epilogue_edge)(precision, *f, s, copy);
    } else if (!vec_is_known(precision, f, s.vectors)) {
        vec_epilogue_full(precision, *f, s, sums);
    } else if (precision == PRECISION_INT8 && f->output == CONV_OUTPUT_WORD) {
        vec_epilogue_full(precision, vec_known(f, false, false, CONV_OUTPUT_WORD), s, sums);
    } else if (f->output == CONV_OUTPUT_FLOAT) {
        vec_epilogue_full(precision, vec_known(f, false, false, CONV_OUTPUT_FLOAT), s, sums);
    } else if (f->shortcut) {
        vec_epilogue_full(precision, vec_known(f, false, true, CONV_OUTPUT_ELEMENT), s, sums);
    } else if (f->residual) {
        vec_epilogue_full(precision, vec_known(f, true, false, CONV_OUTPUT_ELEMENT), s, sums);
    } else {
        vec_epilogue_full(precision, vec_known(f, false, false, CONV_OUTPUT_ELEMENT), s, sums);
    }
}

#endif
