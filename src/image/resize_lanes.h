/* resize_vectors.h over the vectors of kernel/isa, which have several lanes of 128 bits. A file
 * that includes this defines LEAF_ISA, the intrinsics that are in capitals here, and then
 * one_group() and two_groups(). */
#ifndef RESNEXT_IMAGE_RESIZE_LANES_H
#define RESNEXT_IMAGE_RESIZE_LANES_H

#include <string.h>

#include "image/resize_vectors.h"

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

/* The sums of a group in each lane, whose weights are in the same lane of `w`. */
static inline vec group_sums(vec pixels, vec w)
{
    struct sums sums = {{0}, {0}};
    vec pairs = INTERLEAVE_LOW(pixels, SHUFFLE(pixels, (_MM_PERM_ENUM)0xee));
    add_pairs(&sums, INTERLEAVE_LOW(pairs, (vec){0}), SHUFFLE(w, (_MM_PERM_ENUM)0x00),
              SHUFFLE(w, (_MM_PERM_ENUM)0xaa));
    add_pairs(&sums, INTERLEAVE_HIGH(pairs, (vec){0}), SHUFFLE(w, (_MM_PERM_ENUM)0x55),
              SHUFFLE(w, (_MM_PERM_ENUM)0xff));
    return total(&sums);
}

static inline __m128i load_lane(const void *from)
{
    return _mm_loadu_si128((const __m128i *)from);
}

static inline const uint8_t *pixels_of(const struct resize_span *span, const uint8_t *rgbx)
{
    return rgbx + (ptrdiff_t)span->first * 4;
}

/* Four bytes of each of four outputs, of which three count. */
typedef __m128i four_outputs(const struct resize_span *spans, const int16_t *weights,
                             const uint8_t *rgbx);

/* Of outputs with one group of weights each, and with two. */
static four_outputs one_group, two_groups;

static inline int four_by_four(four_outputs *four, const struct resize_span *spans,
                               const int16_t *weights, int groups, int count, const uint8_t *rgbx,
                               uint8_t *rgb, ptrdiff_t step)
{
    const __m128i forward = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    const __m128i backward = _mm_setr_epi8(12, 13, 14, 8, 9, 10, 4, 5, 6, 0, 1, 2, -1, -1, -1, -1);
    const __m128i order = step > 0 ? forward : backward;
    int i = 0;
    for (; i + 4 <= count; i += 4, weights += 8 * RESIZE_GROUP * groups) {
        uint8_t *to = rgb + (step > 0 ? i : i + 3) * step;
        __m128i bytes = _mm_shuffle_epi8(four(spans + i, weights, rgbx), order);
        int32_t last = _mm_extract_epi32(bytes, 2);
        _mm_storel_epi64((__m128i *)(void *)to, bytes);
        memcpy(to + 8, &last, sizeof last);
    }
    return i;
}

static int LEAF_NAME(resize_horizontal)(const struct resize_span *spans, const int16_t *weights,
                                        int groups, int count, const uint8_t *rgbx, uint8_t *rgb,
                                        ptrdiff_t step)
{
    return groups == 1 ? four_by_four(one_group, spans, weights, 1, count, rgbx, rgb, step)
                       : four_by_four(two_groups, spans, weights, 2, count, rgbx, rgb, step);
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

static size_t LEAF_NAME(resize_vertical)(const int16_t *weights, int taps, const uint8_t *rows,
                                         size_t stride, size_t bytes, uint8_t *out)
{
    size_t x = 0;
    for (; x + sizeof(vec) <= bytes; x += sizeof(vec)) {
        vec v = block(weights, taps, rows + x, stride);
        memcpy(out + x, &v, sizeof v);
    }
    return x;
}

#endif
