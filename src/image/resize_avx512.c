#define LEAF_ISA avx512

#include "kernel/isa/avx512.h"

#define WIDE(v)               ((__m512i)(v))
#define MULTIPLY_PAIRS(a, b)  ((vec)_mm512_madd_epi16(WIDE(a), WIDE(b)))
#define INTERLEAVE_LOW(a, b)  ((vec)_mm512_unpacklo_epi8(WIDE(a), WIDE(b)))
#define INTERLEAVE_HIGH(a, b) ((vec)_mm512_unpackhi_epi8(WIDE(a), WIDE(b)))
#define SHUFFLE(v, order)     ((vec)_mm512_shuffle_epi32(WIDE(v), (_MM_PERM_ENUM)(order)))
#define PACK_DWORDS(a, b)     ((vec)_mm512_packs_epi32(WIDE(a), WIDE(b)))
#define PACK_WORDS(a, b)      ((vec)_mm512_packus_epi16(WIDE(a), WIDE(b)))

#include "image/resize_lanes.h"

/* An output in each lane. */
static __m128i one_group(const struct resize_span *spans, const int16_t *weights,
                         const uint8_t *rgbx)
{
    __m512i pixels = _mm512_castsi128_si512(load_lane(pixels_of(spans, rgbx)));
    pixels = _mm512_inserti32x4(pixels, load_lane(pixels_of(spans + 1, rgbx)), 1);
    pixels = _mm512_inserti32x4(pixels, load_lane(pixels_of(spans + 2, rgbx)), 2);
    pixels = _mm512_inserti32x4(pixels, load_lane(pixels_of(spans + 3, rgbx)), 3);
    vec sum = rounded(group_sums((vec)pixels, load(weights)));
    return _mm512_cvtusepi32_epi8(_mm512_max_epi32(WIDE(sum), _mm512_setzero_si512()));
}

/* The sums of two outputs, the groups of each in lanes of their own: twice in neighbouring lanes.
 */
static inline vec two_sums(const struct resize_span *spans, const int16_t *weights,
                           const uint8_t *rgbx)
{
    __m256i first = _mm256_loadu_si256((const __m256i *)(const void *)pixels_of(spans, rgbx));
    __m256i second = _mm256_loadu_si256((const __m256i *)(const void *)pixels_of(spans + 1, rgbx));
    __m512i pixels = _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
    vec sum = group_sums((vec)pixels, load(weights));
    return rounded(sum + (vec)_mm512_shuffle_i64x2(WIDE(sum), WIDE(sum), 0xb1));
}

static __m128i two_groups(const struct resize_span *spans, const int16_t *weights,
                          const uint8_t *rgbx)
{
    vec words = PACK_DWORDS(two_sums(spans, weights, rgbx),
                            two_sums(spans + 2, weights + 8 * RESIZE_GROUP, rgbx));
    __m512i bytes = WIDE(PACK_WORDS(words, words));
    return _mm_unpacklo_epi32(_mm512_castsi512_si128(bytes), _mm512_extracti32x4_epi32(bytes, 2));
}

const struct resize_vectors resize_avx512 = {LEAF_NAME(resize_horizontal),
                                             LEAF_NAME(resize_vertical)};
