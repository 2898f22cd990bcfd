#include "image/resize_avx512.h"

#include <immintrin.h>
#include <string.h>

/* Sums of products with the low and the high parts of the weights. */
struct sums {
    __m512i low, high;
};

static inline void add_pairs(struct sums *sums, __m512i pairs, __m512i low, __m512i high)
{
    sums->low = _mm512_add_epi32(sums->low, _mm512_madd_epi16(pairs, low));
    sums->high = _mm512_add_epi32(sums->high, _mm512_madd_epi16(pairs, high));
}

static inline __m512i total(const struct sums *sums)
{
    return _mm512_add_epi32(sums->low, _mm512_slli_epi32(sums->high, RESIZE_LOW_BITS));
}

static inline __m512i rounded(__m512i sum)
{
    const __m512i half = _mm512_set1_epi32(1 << (RESIZE_WEIGHT_BITS - 1));
    return _mm512_srai_epi32(_mm512_add_epi32(sum, half), RESIZE_WEIGHT_BITS);
}

static inline __m512i two_halves(const uint8_t *low, const uint8_t *high)
{
    __m256i first = _mm256_loadu_si256((const __m256i *)(const void *)low);
    __m256i second = _mm256_loadu_si256((const __m256i *)(const void *)high);
    return _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
}

/* The sums of a group in each lane, whose weights are in the same lane of `w`. */
static inline __m512i group_sums(__m512i pixels, __m512i w)
{
    const __m512i zero = _mm512_setzero_si512();
    struct sums sums = {zero, zero};
    __m512i pairs = _mm512_unpacklo_epi8(pixels, _mm512_shuffle_epi32(pixels, (_MM_PERM_ENUM)0xee));
    add_pairs(&sums, _mm512_unpacklo_epi8(pairs, zero),
              _mm512_shuffle_epi32(w, (_MM_PERM_ENUM)0x00),
              _mm512_shuffle_epi32(w, (_MM_PERM_ENUM)0xaa));
    add_pairs(&sums, _mm512_unpackhi_epi8(pairs, zero),
              _mm512_shuffle_epi32(w, (_MM_PERM_ENUM)0x55),
              _mm512_shuffle_epi32(w, (_MM_PERM_ENUM)0xff));
    return total(&sums);
}

static inline __m512i four_lanes(const struct resize_span *spans, const uint8_t *rgbx)
{
    __m128i lanes[4];
    for (int i = 0; i < 4; i++)
        lanes[i] =
            _mm_loadu_si128((const __m128i *)(const void *)(rgbx + (ptrdiff_t)spans[i].first * 4));
    __m512i all = _mm512_inserti32x4(_mm512_castsi128_si512(lanes[0]), lanes[1], 1);
    return _mm512_inserti32x4(_mm512_inserti32x4(all, lanes[2], 2), lanes[3], 3);
}

/* Four outputs at once, one in each lane. */
static int one_group(const struct resize_span *spans, const int16_t *weights, int count,
                     const uint8_t *rgbx, uint8_t *rgb, ptrdiff_t step)
{
    const __m128i forward = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    const __m128i backward = _mm_setr_epi8(12, 13, 14, 8, 9, 10, 4, 5, 6, 0, 1, 2, -1, -1, -1, -1);
    const __m128i order = step > 0 ? forward : backward;
    int i = 0;
    for (; i + 4 <= count; i += 4, weights += 32) {
        uint8_t *to = rgb + (step > 0 ? i : i + 3) * step;
        __m512i w = _mm512_loadu_si512(weights);
        __m512i sum = rounded(group_sums(four_lanes(spans + i, rgbx), w));
        __m512i positive = _mm512_max_epi32(sum, _mm512_setzero_si512());
        __m128i bytes = _mm_shuffle_epi8(_mm512_cvtusepi32_epi8(positive), order);
        int32_t last = _mm_extract_epi32(bytes, 2);
        _mm_storel_epi64((__m128i *)(void *)to, bytes);
        memcpy(to + 8, &last, sizeof last);
    }
    return i;
}

/* Two outputs at once, the two groups of each in lanes of their own. */
static int two_groups(const struct resize_span *spans, const int16_t *weights, int count,
                      const uint8_t *rgbx, uint8_t *rgb, ptrdiff_t step)
{
    int i = 0;
    for (; i + 2 <= count; i += 2, weights += 32) {
        __m512i w = _mm512_loadu_si512(weights);
        __m512i pixels = two_halves(rgbx + (ptrdiff_t)spans[i].first * 4,
                                    rgbx + (ptrdiff_t)spans[i + 1].first * 4);
        __m512i sum = group_sums(pixels, w);
        sum = rounded(_mm512_add_epi32(sum, _mm512_shuffle_i64x2(sum, sum, 0xb1)));
        __m512i words = _mm512_packs_epi32(sum, sum);
        __m512i bytes = _mm512_packus_epi16(words, words);
        int32_t first = _mm_cvtsi128_si32(_mm512_castsi512_si128(bytes));
        int32_t second = _mm_cvtsi128_si32(_mm512_extracti32x4_epi32(bytes, 2));
        memcpy(rgb, &first, 3);
        memcpy(rgb + step, &second, 3);
        rgb += 2 * step;
    }
    return i;
}

int resize_avx512_horizontal(const struct resize_span *spans, const int16_t *weights, int groups,
                             int count, const uint8_t *rgbx, uint8_t *rgb, ptrdiff_t step)
{
    return groups == 1 ? one_group(spans, weights, count, rgbx, rgb, step)
                       : two_groups(spans, weights, count, rgbx, rgb, step);
}

struct four_sums {
    struct sums at[4]; /* of bytes 0..3, 4..7, 8..11, 12..15 of each lane */
};

/* Adds two rows, `pairs` of whose bytes stand side by side in `low` and `high` bytes of lanes. */
static inline void add_rows(struct four_sums *s, __m512i a, __m512i b, __m512i low, __m512i high)
{
    const __m512i zero = _mm512_setzero_si512();
    __m512i first = _mm512_unpacklo_epi8(a, b), second = _mm512_unpackhi_epi8(a, b);
    add_pairs(&s->at[0], _mm512_unpacklo_epi8(first, zero), low, high);
    add_pairs(&s->at[1], _mm512_unpackhi_epi8(first, zero), low, high);
    add_pairs(&s->at[2], _mm512_unpacklo_epi8(second, zero), low, high);
    add_pairs(&s->at[3], _mm512_unpackhi_epi8(second, zero), low, high);
}

static inline __m512i spread(const int16_t *pair)
{
    int32_t both;
    memcpy(&both, pair, sizeof both);
    return _mm512_set1_epi32(both);
}

static inline __m512i block(const int16_t *weights, int taps, const uint8_t *rows, size_t stride)
{
    struct four_sums s;
    for (int i = 0; i < 4; i++)
        s.at[i].low = s.at[i].high = _mm512_setzero_si512();
    for (; taps > 0; taps -= RESIZE_GROUP, weights += 2 * RESIZE_GROUP, rows += 4 * stride) {
        __m512i a = _mm512_loadu_si512(rows), b = _mm512_loadu_si512(rows + stride);
        __m512i c = _mm512_loadu_si512(rows + 2 * stride);
        __m512i d = _mm512_loadu_si512(rows + 3 * stride);
        add_rows(&s, a, c, spread(weights), spread(weights + 4));
        add_rows(&s, b, d, spread(weights + 2), spread(weights + 6));
    }
    __m512i words = _mm512_packs_epi32(rounded(total(&s.at[0])), rounded(total(&s.at[1])));
    __m512i more = _mm512_packs_epi32(rounded(total(&s.at[2])), rounded(total(&s.at[3])));
    return _mm512_packus_epi16(words, more);
}

size_t resize_avx512_vertical(const int16_t *weights, int taps, const uint8_t *rows, size_t stride,
                              size_t bytes, uint8_t *out)
{
    size_t x = 0;
    for (; x + 64 <= bytes; x += 64)
        _mm512_storeu_si512(out + x, block(weights, taps, rows + x, stride));
    return x;
}
