#include "kernel/avx2/bf16.h"

void avx2_copy_bf16(unsigned char *to, size_t to_step, const unsigned char *from, size_t from_step,
                    size_t bytes, size_t times)
{
    for (; times > 0; times--, to += to_step, from += from_step) {
        size_t i = 0;
        for (; i + 16 <= bytes; i += 16)
            _mm256_storeu_ps((float *)(to + 2 * i),
                             bf16_widen(_mm_loadu_si128((const __m128i *)(from + i))));
        for (; i < bytes; i += sizeof(uint16_t)) {
            uint16_t half;
            memcpy(&half, from + i, sizeof half);
            *(lanes_dword *)(to + 2 * i) = (int32_t)((uint32_t)half << 16);
        }
    }
}
