/* The micro-kernels of kernel/grouped.h over an instruction set's primitives. */
#ifndef RESNEXT_KERNEL_ISA_GROUPED_H
#define RESNEXT_KERNEL_ISA_GROUPED_H

#include "kernel/grouped.h"
#include "kernel/isa/copy.h"
#include "kernel/isa/epilogue.h"

enum {
    GROUPED_MAX = 14,    /* pixels of a run */
    GROUPED_CHAINED = 4, /* of a run that has an accumulator for each product of a pixel */
};

/* a + b, of accumulators. */
typedef vec (*grouped_add)(vec a, vec b);

/* grouped_kernel.copy_permuted. */
static void LEAF_NAME(copy_permuted)(const struct lanes_format *format, unsigned char *to,
                                     const unsigned char *from, size_t from_step, size_t bytes,
                                     size_t times, const int32_t *order)
{
    vec lanes = *(const vec *)order;
    if (bytes < GROUPED_UNIT || format->copy != LEAF_NAME(copy)) {
        format->copy(to, GROUPED_UNIT, from, from_step, bytes, times);
        from = to;
        from_step = GROUPED_UNIT;
    }
    for (; times > 0; times--, to += GROUPED_UNIT, from += from_step)
        for (size_t i = 0; i < GROUPED_UNIT; i += LANES_BYTES) {
            vec v;
            memcpy(&v, from + i, sizeof v);
            *(vec *)(to + i) = vec_permute(v, lanes);
        }
}

/* The micro-kernel for constant arguments but the first. */
LANES_INLINE void grouped_accumulate(const struct grouped_run *r, int pixels, int stride,
                                     int together, enum precision precision,
                                     lanes_multiply_add multiply_add, grouped_add add)
{
    const unsigned char *w = r->weights;
    size_t step = r->pixel * 4;
    const int chains = pixels > GROUPED_CHAINED || !add ? 1 : GROUPED_TAPS;
    vec sums[GROUPED_TAPS][GROUPED_MAX]; /* the chains of a pixel are added up at the end */
#pragma GCC unroll 3
    for (int c = 0; c < chains; c++)
#pragma GCC unroll 14
        for (int p = 0; p < pixels; p++)
            sums[c][p] = (vec){0};
    for (size_t ky = 0; ky < GROUPED_TAPS; ky++) {
        const unsigned char *row = r->slab + ky * r->slab_row;
        for (size_t d = 0; d < r->dwords; d++, w += GROUPED_TAPS * LANES_BYTES) {
            const vec *weights = (const vec *)w;
            vec w0 = weights[0], w1 = weights[1], w2 = weights[2];
            const unsigned char *x = row + d * 4 * (size_t)together;
            /* The next vector's weights may not be in the L1 cache. */
            if (LANES_BYTES == 64 && together == 1)
                for (size_t kx = 0; kx < GROUPED_TAPS; kx++)
                    __builtin_prefetch(weights + GROUPED_TAPS * GROUPED_TAPS * r->dwords + kx);
            __asm__("" : "+r"(x)); /* or gcc spills all inputs for the next d */
#pragma GCC unroll 29
            for (int i = 0; i < (pixels - 1) * stride + GROUPED_TAPS; i++, x += step) {
                vec v = vec_repeat(x, together);
                if (i % stride == 0 && i / stride < pixels)
                    sums[0][i / stride] = multiply_add(sums[0][i / stride], v, w0);
                if (i >= 1 && (i - 1) % stride == 0 && (i - 1) / stride < pixels)
                    sums[1 % chains][(i - 1) / stride] =
                        multiply_add(sums[1 % chains][(i - 1) / stride], v, w1);
                if (i >= 2 && (i - 2) % stride == 0)
                    sums[2 % chains][(i - 2) / stride] =
                        multiply_add(sums[2 % chains][(i - 2) / stride], v, w2);
            }
        }
    }
#pragma GCC unroll 3
    for (int c = 1; c < chains; c++)
#pragma GCC unroll 14
        for (int p = 0; p < pixels; p++)
            sums[0][p] = add(sums[0][p], sums[c][p]);
    if (together > 1)
#pragma GCC unroll 14
        for (int p = 0; p < pixels; p++)
            sums[0][p] = vec_permute(sums[0][p], *(const vec *)r->order);
    const struct vec_sums s = {r->at, r->out_c, r->channels, pixels, 1};
    vec_epilogue_all(precision, &r->epilogue, s, sums[0]);
}

LANES_INLINE void grouped_strides(const struct grouped_run *r, int pixels, int together,
                                  enum precision precision, lanes_multiply_add multiply_add,
                                  grouped_add add)
{
    if (r->stride == 1)
        grouped_accumulate(r, pixels, 1, together, precision, multiply_add, add);
    else
        grouped_accumulate(r, pixels, 2, together, precision, multiply_add, add);
}

/* The micro-kernel for any stride and number of groups in a vector, which is `max` or less. `add`
 * is not NULL if a multiply-add has to wait for its accumulator: then a pixel has one for each
 * kernel column in runs of up to GROUPED_CHAINED pixels, which are faster than longer runs. */
LANES_INLINE void grouped_pixels(const struct grouped_run *r, int pixels, int max,
                                 enum precision precision, lanes_multiply_add multiply_add,
                                 grouped_add add)
{
    if (r->together == 1)
        grouped_strides(r, pixels, 1, precision, multiply_add, add);
    else if (max >= 2 && r->together == 2)
        grouped_strides(r, pixels, 2, precision, multiply_add, add);
    else if (max >= 4 && r->together == 4)
        grouped_strides(r, pixels, 4, precision, multiply_add, add);
    else if (max >= 8)
        grouped_strides(r, pixels, 8, precision, multiply_add, add);
}

/* A kernel. `sizes` is a list of run lengths like GROUPED_SIZES; `broadcast` is max_broadcast. */
/* clang-format off */
#define GROUPED_FUNCTION(pixels, id, element, precision, multiply_add, add)                        \
    static void LEAF_TILE(id, pixels, 1)(const struct grouped_run *r)                              \
    {                                                                                              \
        grouped_pixels(r, pixels, LANES * (element) / 4, precision, multiply_add, add);            \
    }
#define GROUPED_ENTRY(pixels, id, ...) {pixels, LEAF_TILE(id, pixels, 1)},
#define GROUPED_KERNEL(id, precision, element, copy, multiply_add, add, sizes, broadcast)          \
    _Static_assert(LANES * (element) / 4 <= 8, "grouped_pixels() has cases for up to 8 groups");   \
    sizes(GROUPED_FUNCTION, id, element, precision, multiply_add, add)                             \
    static const struct grouped_kernel id = {                                                      \
        .format = {precision, element, LANES, LEAF_NAME(copy)},                                    \
        .copy_permuted = LEAF_NAME(copy_permuted),                                                 \
        .max_broadcast = broadcast,                                                                \
        .runs = {sizes(GROUPED_ENTRY, id, )},                                                      \
    };                                                                                             \
    LEAF_KERNEL(id, precision, grouped_supports, &grouped_method, &id)
/* clang-format on */

#endif
