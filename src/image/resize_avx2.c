#define LEAF_ISA avx2

#include "kernel/isa/avx2.h"

#define WIDE(v)               ((__m256i)(v))
#define MULTIPLY_PAIRS(a, b)  ((vec)_mm256_madd_epi16(WIDE(a), WIDE(b)))
#define INTERLEAVE_LOW(a, b)  ((vec)_mm256_unpacklo_epi8(WIDE(a), WIDE(b)))
#define INTERLEAVE_HIGH(a, b) ((vec)_mm256_unpackhi_epi8(WIDE(a), WIDE(b)))
#define SHUFFLE(v, order)     ((vec)_mm256_shuffle_epi32(WIDE(v), order))
#define PACK_DWORDS(a, b)     ((vec)_mm256_packs_epi32(WIDE(a), WIDE(b)))
#define PACK_WORDS(a, b)      ((vec)_mm256_packus_epi16(WIDE(a), WIDE(b)))

#include "image/resize_lanes.h"

static inline vec two_lanes(const void *low, const void *high)
{
    return (vec)_mm256_inserti128_si256(_mm256_castsi128_si256(load_lane(low)), load_lane(high), 1);
}

/* Four outputs from their sums: the first and the third, the second and the fourth. */
static inline __m128i outputs(vec even, vec odd)
{
    vec words = PACK_DWORDS(rounded(even), rounded(odd));
    __m256i bytes = WIDE(PACK_WORDS(words, words));
    return _mm_unpacklo_epi64(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
}

/* The sums of outputs i and i + 2, each in a lane. */
static inline vec two_sums(const struct resize_span *spans, const int16_t *weights,
                           const uint8_t *rgbx)
{
    vec w = two_lanes(weights, weights + 4 * RESIZE_GROUP);
    return group_sums(two_lanes(pixels_of(spans, rgbx), pixels_of(spans + 2, rgbx)), w);
}

static __m128i one_group(const struct resize_span *spans, const int16_t *weights,
                         const uint8_t *rgbx)
{
    return outputs(two_sums(spans, weights, rgbx),
                   two_sums(spans + 1, weights + 2 * RESIZE_GROUP, rgbx));
}

/* The same, the two groups of an output in lanes of their own. */
static inline vec two_wide_sums(const struct resize_span *spans, const int16_t *weights,
                                const uint8_t *rgbx)
{
    __m256i first = WIDE(group_sums(load(pixels_of(spans, rgbx)), load(weights)));
    __m256i third =
        WIDE(group_sums(load(pixels_of(spans + 2, rgbx)), load(weights + 8 * RESIZE_GROUP)));
    return (vec)_mm256_permute2x128_si256(first, third, 0x20) +
           (vec)_mm256_permute2x128_si256(first, third, 0x31);
}

static __m128i two_groups(const struct resize_span *spans, const int16_t *weights,
                          const uint8_t *rgbx)
{
    return outputs(two_wide_sums(spans, weights, rgbx),
                   two_wide_sums(spans + 1, weights + 4 * RESIZE_GROUP, rgbx));
}

const struct resize_vectors resize_avx2 = {LEAF_NAME(resize_horizontal),
                                           LEAF_NAME(resize_vertical)};
