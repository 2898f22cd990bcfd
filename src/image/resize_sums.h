/* Sums of products with weights as resize.c stores them, over vectors of one or several lanes of
 * 128 bits. A file that includes this includes a header of kernel/isa, and defines for every lane
 *
 *   MULTIPLY_PAIRS(a, b)    a[2i] * b[2i] + a[2i + 1] * b[2i + 1], of words
 *   INTERLEAVE_LOW(a, b)    the low bytes of a and b in turn
 *   INTERLEAVE_HIGH(a, b)   the high bytes
 *   SHUFFLE(v, order)       dwords; `order` is a constant of two bits each
 *   PACK_DWORDS(a, b)       to words, clipped
 *   PACK_WORDS(a, b)        to bytes, clipped to 0..255 */
#ifndef RESNEXT_IMAGE_RESIZE_SUMS_H
#define RESNEXT_IMAGE_RESIZE_SUMS_H

#include <string.h>

#include "image/resize.h"

static inline vec load(const void *from)
{
    vec v;
    memcpy(&v, from, sizeof v);
    return v;
}

/* Sums of products with the low and the high parts of the weights. */
struct sums {
    vec low, high;
};

static inline void add_pairs(struct sums *sums, vec pairs, vec low, vec high)
{
    sums->low += MULTIPLY_PAIRS(pairs, low);
    sums->high += MULTIPLY_PAIRS(pairs, high);
}

static inline vec total(const struct sums *sums)
{
    return sums->low + (sums->high << RESIZE_LOW_BITS);
}

static inline vec rounded(vec sum)
{
    return (sum + (1 << (RESIZE_WEIGHT_BITS - 1))) >> RESIZE_WEIGHT_BITS;
}

/* Adds a group in each lane, whose weights are in the same lane of `w`. */
static inline void add_group(struct sums *sums, vec pixels, vec w)
{
    vec pairs = INTERLEAVE_LOW(pixels, SHUFFLE(pixels, 0xee));
    add_pairs(sums, INTERLEAVE_LOW(pairs, (vec){0}), SHUFFLE(w, 0x00), SHUFFLE(w, 0xaa));
    add_pairs(sums, INTERLEAVE_HIGH(pairs, (vec){0}), SHUFFLE(w, 0x55), SHUFFLE(w, 0xff));
}

struct four_sums {
    struct sums at[4]; /* of bytes 0..3, 4..7, 8..11, 12..15 of each lane */
};

/* Adds two rows, `pairs` of whose bytes stand side by side in `low` and `high` bytes of lanes. */
static inline void add_rows(struct four_sums *s, vec a, vec b, vec low, vec high)
{
    vec first = INTERLEAVE_LOW(a, b), second = INTERLEAVE_HIGH(a, b);
    add_pairs(&s->at[0], INTERLEAVE_LOW(first, (vec){0}), low, high);
    add_pairs(&s->at[1], INTERLEAVE_HIGH(first, (vec){0}), low, high);
    add_pairs(&s->at[2], INTERLEAVE_LOW(second, (vec){0}), low, high);
    add_pairs(&s->at[3], INTERLEAVE_HIGH(second, (vec){0}), low, high);
}

static inline vec spread(const int16_t *pair)
{
    return vec_broadcast((const unsigned char *)pair);
}

static inline vec block(const int16_t *weights, int taps, const uint8_t *rows, size_t stride)
{
    struct four_sums s;
    for (int i = 0; i < 4; i++)
        s.at[i].low = s.at[i].high = (vec){0};
    for (; taps > 0; taps -= RESIZE_GROUP, weights += 2 * RESIZE_GROUP, rows += 4 * stride) {
        vec a = load(rows), b = load(rows + stride);
        vec c = load(rows + 2 * stride), d = load(rows + 3 * stride);
        add_rows(&s, a, c, spread(weights), spread(weights + 4));
        add_rows(&s, b, d, spread(weights + 2), spread(weights + 6));
    }
    vec words = PACK_DWORDS(rounded(total(&s.at[0])), rounded(total(&s.at[1])));
    vec more = PACK_DWORDS(rounded(total(&s.at[2])), rounded(total(&s.at[3])));
    return PACK_WORDS(words, more);
}

#endif
