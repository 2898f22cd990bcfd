#include "kernel/avx512/lanes.h"

/* The usual sizes are constants here, each a load and a store. */
void avx512_copy(unsigned char *to, size_t to_step, const unsigned char *from, size_t from_step,
                 size_t bytes, size_t times)
{
    size_t whole = bytes / LANES_BYTES * LANES_BYTES;
    __mmask64 mask = (1ULL << bytes % LANES_BYTES) - 1;
    if (bytes == 16)
        for (; times > 0; times--, to += to_step, from += from_step)
            memcpy(to, from, 16);
    if (bytes == 32)
        for (; times > 0; times--, to += to_step, from += from_step)
            memcpy(to, from, 32);
    if (bytes == LANES_BYTES)
        for (; times > 0; times--, to += to_step, from += from_step)
            memcpy(to, from, LANES_BYTES);
    for (; times > 0; times--, to += to_step, from += from_step) {
        for (size_t i = 0; i < whole; i += LANES_BYTES)
            _mm512_storeu_si512(to + i, _mm512_loadu_si512(from + i));
        if (mask)
            _mm512_mask_storeu_epi8(to + whole, mask, _mm512_maskz_loadu_epi8(mask, from + whole));
    }
}
