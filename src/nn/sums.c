#include "nn/sums.h"

/* Inlined where arguments are constants. */
#define INLINE static inline __attribute__((always_inline))

enum { RUN = 8, VECTOR = 16, VECTORS = SUMS_CHANNELS / VECTOR, BYTES_RUN = 257 };
_Static_assert(BYTES_RUN * 255 <= UINT16_MAX, "a run of bytes fits 16 bits");

/* Each word is two bytes. */
typedef uint16_t words __attribute__((vector_size(VECTOR)));
typedef words words_anywhere __attribute__((aligned(1), may_alias));

/* Adds a run of pixels of VECTOR channels for each of `vectors`. Sums of words are modulo 2^16, and
 * so is what is left of them without the sums of their upper bytes, which is less than that. */
INLINE void add_bytes(const uint8_t *x, size_t step, size_t pixels, size_t vectors, double *sums)
{
    words both[VECTORS] = {{0}}, upper[VECTORS] = {{0}};
    for (size_t p = 0; p < pixels; p++, x += step)
        for (size_t v = 0; v < vectors; v++) {
            words w = ((const words_anywhere *)(const void *)x)[v];
            both[v] += w;
            upper[v] += w >> 8;
        }
    for (size_t v = 0; v < vectors; v++) {
        words lower = both[v] - (upper[v] << 8);
        for (size_t i = 0; i < VECTOR / 2; i++) {
            sums[VECTOR * v + 2 * i] += lower[i];
            sums[VECTOR * v + 2 * i + 1] += upper[v][i];
        }
    }
}

static void add_byte(const uint8_t *x, size_t step, size_t pixels, double *sum)
{
    uint32_t total = 0;
    for (size_t p = 0; p < pixels; p++)
        total += x[p * step];
    *sum += total;
}

static void add_bytes_run(const uint8_t *x, size_t step, size_t pixels, size_t count, double *sums)
{
    if (count == SUMS_CHANNELS) {
        add_bytes(x, step, pixels, VECTORS, sums);
        return;
    }
    size_t c = 0;
    for (; c + VECTOR <= count; c += VECTOR)
        add_bytes(x + c, step, pixels, 1, sums + c);
    for (; c < count; c++)
        add_byte(x + c, step, pixels, sums + c);
}

/* `pixels` is a constant. */
INLINE void add_floats(enum precision precision, const void *x, size_t at, size_t step,
                       size_t pixels, size_t count, double *sums)
{
    for (size_t c = 0; c < count; c++) {
        float sum = -0.0F; /* the compiler drops this addition */
#pragma GCC unroll 8
        for (size_t p = 0; p < pixels; p++) {
            size_t i = at + p * step + c;
            sum += precision == PRECISION_F32 ? ((const float *)x)[i]
                                              : f32_from_bf16(((const uint16_t *)x)[i]);
        }
        sums[c] += (double)sum;
    }
}

INLINE void add_map(enum precision precision, const void *x, size_t step, size_t pixels,
                    size_t count, double *sums)
{
    size_t p = 0;
    for (; p + RUN <= pixels; p += RUN)
        add_floats(precision, x, p * step, step, RUN, count, sums);
    for (; p < pixels; p++)
        add_floats(precision, x, p * step, step, 1, count, sums);
}

int sums_strips(int channels)
{
    return (channels + SUMS_CHANNELS - 1) / SUMS_CHANNELS;
}

void sums_add(enum precision precision, const void *x, size_t step, size_t pixels, size_t count,
              double sums[SUMS_CHANNELS])
{
    if (precision == PRECISION_F32)
        add_map(PRECISION_F32, x, step, pixels, count, sums);
    else if (precision == PRECISION_BF16)
        add_map(PRECISION_BF16, x, step, pixels, count, sums);
    else
        for (size_t p = 0; p < pixels; p += BYTES_RUN)
            add_bytes_run((const uint8_t *)x + p * step, step,
                          pixels - p < BYTES_RUN ? pixels - p : BYTES_RUN, count, sums);
}
