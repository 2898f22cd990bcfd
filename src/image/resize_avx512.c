#include <immintrin.h>

#define VECTOR           __m512i
#define ADD              _mm512_add_epi32
#define MULTIPLY_PAIRS   _mm512_madd_epi16
#define SHIFT_LEFT       _mm512_slli_epi32
#define SHIFT_RIGHT      _mm512_srai_epi32
#define SPREAD           _mm512_set1_epi32
#define INTERLEAVE_LOW   _mm512_unpacklo_epi8
#define INTERLEAVE_HIGH  _mm512_unpackhi_epi8
#define SHUFFLE          _mm512_shuffle_epi32
#define PACK_DWORDS      _mm512_packs_epi32
#define PACK_WORDS       _mm512_packus_epi16

static inline __m512i load(const void *from)
{
    return _mm512_loadu_si512(from);
}

static inline void store(void *to, __m512i v)
{
    _mm512_storeu_si512(to, v);
}

static inline __m512i zero(void)
{
    return _mm512_setzero_si512();
}

#include "image/resize_lanes.h"

/* An output in each lane. */
static __m128i one_group(const struct resize_span *spans, const int16_t *weights,
                         const uint8_t *rgbx)
{
    __m512i pixels = _mm512_castsi128_si512(load_lane(pixels_of(spans, rgbx)));
    pixels = _mm512_inserti32x4(pixels, load_lane(pixels_of(spans + 1, rgbx)), 1);
    pixels = _mm512_inserti32x4(pixels, load_lane(pixels_of(spans + 2, rgbx)), 2);
    pixels = _mm512_inserti32x4(pixels, load_lane(pixels_of(spans + 3, rgbx)), 3);
    __m512i sum = rounded(group_sums(pixels, load(weights)));
    return _mm512_cvtusepi32_epi8(_mm512_max_epi32(sum, zero()));
}

/* The sums of two outputs, the groups of each in lanes of their own: twice in neighbouring lanes. */
static inline __m512i two_sums(const struct resize_span *spans, const int16_t *weights,
                               const uint8_t *rgbx)
{
    __m256i first = _mm256_loadu_si256((const __m256i *)(const void *)pixels_of(spans, rgbx));
    __m256i second = _mm256_loadu_si256((const __m256i *)(const void *)pixels_of(spans + 1, rgbx));
    __m512i pixels = _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
    __m512i sum = group_sums(pixels, load(weights));
    return rounded(_mm512_add_epi32(sum, _mm512_shuffle_i64x2(sum, sum, 0xb1)));
}

static __m128i two_groups(const struct resize_span *spans, const int16_t *weights,
                          const uint8_t *rgbx)
{
    __m512i words = _mm512_packs_epi32(two_sums(spans, weights, rgbx),
                                       two_sums(spans + 2, weights + 8 * RESIZE_GROUP, rgbx));
    __m512i bytes = _mm512_packus_epi16(words, words);
    return _mm_unpacklo_epi32(_mm512_castsi512_si128(bytes), _mm512_extracti32x4_epi32(bytes, 2));
}

const struct resize_vectors resize_avx512 = {.horizontal = horizontal, .vertical = vertical};
