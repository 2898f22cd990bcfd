#include <immintrin.h>

#define VECTOR           __m256i
#define ADD              _mm256_add_epi32
#define MULTIPLY_PAIRS   _mm256_madd_epi16
#define SHIFT_LEFT       _mm256_slli_epi32
#define SHIFT_RIGHT      _mm256_srai_epi32
#define SPREAD           _mm256_set1_epi32
#define INTERLEAVE_LOW   _mm256_unpacklo_epi8
#define INTERLEAVE_HIGH  _mm256_unpackhi_epi8
#define SHUFFLE          _mm256_shuffle_epi32
#define PACK_DWORDS      _mm256_packs_epi32
#define PACK_WORDS       _mm256_packus_epi16

static inline __m256i load(const void *from)
{
    return _mm256_loadu_si256((const __m256i *)from);
}

static inline void store(void *to, __m256i v)
{
    _mm256_storeu_si256((__m256i *)to, v);
}

static inline __m256i zero(void)
{
    return _mm256_setzero_si256();
}

#include "image/resize_lanes.h"

static inline __m256i two_lanes(const void *low, const void *high)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load_lane(low)), load_lane(high), 1);
}

/* Four outputs from their sums: the first and the third, the second and the fourth. */
static inline __m128i outputs(__m256i even, __m256i odd)
{
    __m256i words = _mm256_packs_epi32(rounded(even), rounded(odd));
    __m256i bytes = _mm256_packus_epi16(words, words);
    return _mm_unpacklo_epi64(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
}

/* The sums of outputs i and i + 2, each in a lane. */
static inline __m256i two_sums(const struct resize_span *spans, const int16_t *weights,
                               const uint8_t *rgbx)
{
    __m256i w = two_lanes(weights, weights + 4 * RESIZE_GROUP);
    return group_sums(two_lanes(pixels_of(spans, rgbx), pixels_of(spans + 2, rgbx)), w);
}

static __m128i one_group(const struct resize_span *spans, const int16_t *weights,
                         const uint8_t *rgbx)
{
    return outputs(two_sums(spans, weights, rgbx),
                   two_sums(spans + 1, weights + 2 * RESIZE_GROUP, rgbx));
}

/* The same, the two groups of an output in lanes of their own. */
static inline __m256i two_wide_sums(const struct resize_span *spans, const int16_t *weights,
                                    const uint8_t *rgbx)
{
    __m256i first = group_sums(load(pixels_of(spans, rgbx)), load(weights));
    __m256i third =
        group_sums(load(pixels_of(spans + 2, rgbx)), load(weights + 8 * RESIZE_GROUP));
    return _mm256_add_epi32(_mm256_permute2x128_si256(first, third, 0x20),
                            _mm256_permute2x128_si256(first, third, 0x31));
}

static __m128i two_groups(const struct resize_span *spans, const int16_t *weights,
                          const uint8_t *rgbx)
{
    return outputs(two_wide_sums(spans, weights, rgbx),
                   two_wide_sums(spans + 1, weights + 4 * RESIZE_GROUP, rgbx));
}

const struct resize_vectors resize_avx2 = {.horizontal = horizontal, .vertical = vertical};
