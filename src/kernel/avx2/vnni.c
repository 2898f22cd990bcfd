#include "kernel/avx2/vnni.h"

void avx_vnni_copy(unsigned char *to, size_t to_step, const unsigned char *from, size_t from_step,
                   size_t bytes, size_t times)
{
    for (; times > 0; times--, to += to_step, from += from_step) {
        size_t i = 0;
        for (; i + 16 <= bytes; i += 16)
            _mm_storeu_si128((__m128i *)(to + i), _mm_loadu_si128((const __m128i *)(from + i)));
        for (; i + 4 <= bytes; i += 4)
            *(lanes_dword *)(to + i) = *(const lanes_dword *)(from + i);
        for (; i < bytes; i++)
            to[i] = from[i];
    }
}
