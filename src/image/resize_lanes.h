/* resize_vectors.h over the vectors of kernel/isa, which have several lanes of 128 bits. A file
 * that includes this defines LEAF_ISA, what resize_sums.h needs, and then one_group() and
 * two_groups(). */
#ifndef RESNEXT_IMAGE_RESIZE_LANES_H
#define RESNEXT_IMAGE_RESIZE_LANES_H

#include "image/resize_sums.h"
#include "image/resize_vectors.h"

static inline __m128i load_lane(const void *from)
{
    return _mm_loadu_si128((const __m128i *)from);
}

/* The sums of one group. */
static inline vec group_sums(vec pixels, vec w)
{
    struct sums sums = {{0}, {0}};
    add_group(&sums, pixels, w);
    return total(&sums);
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
