#include "kernel/avx2/widen.h"

static void copy_few(unsigned char *to, const unsigned char *from, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        to[2 * i] = from[i];
        to[2 * i + 1] = 0;
    }
}

void avx2_copy_widened(unsigned char *to, size_t to_step, const unsigned char *from,
                       size_t from_step, size_t bytes, size_t times)
{
    for (; times > 0; times--, to += to_step, from += from_step) {
        size_t i = 0;
        for (; i + 16 <= bytes; i += 16) {
            __m128i x = _mm_loadu_si128((const __m128i *)(from + i));
            _mm256_storeu_si256((__m256i *)(to + 2 * i), _mm256_cvtepu8_epi16(x));
        }
        if (bytes - i >= 8) {
            __m128i x = _mm_loadl_epi64((const __m128i *)(from + i));
            _mm_storeu_si128((__m128i *)(to + 2 * i), _mm_cvtepu8_epi16(x));
            i += 8;
        }
        copy_few(to + 2 * i, from + i, bytes - i);
    }
}
