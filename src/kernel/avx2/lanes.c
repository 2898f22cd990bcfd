#include "kernel/avx2/lanes.h"

LANES_INLINE void copy_vectors(unsigned char *to, const unsigned char *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        _mm256_storeu_si256((__m256i *)to + i, _mm256_loadu_si256((const __m256i *)from + i));
}

LANES_INLINE void copy_end(unsigned char *to, const unsigned char *from, size_t bytes)
{
    size_t i = 0;
    for (; i + 4 <= bytes; i += 4)
        *(lanes_dword *)(to + i) = *(const lanes_dword *)(from + i);
    for (; i < bytes; i++)
        to[i] = from[i];
}

/* The usual size is a constant here: one group, or several, in float32. */
void avx2_copy(unsigned char *to, size_t to_step, const unsigned char *from, size_t from_step,
               size_t bytes, size_t times)
{
    size_t vectors = bytes / LANES_BYTES, whole = vectors * LANES_BYTES;
    if (bytes == 2 * LANES_BYTES) {
        for (; times > 0; times--, to += to_step, from += from_step)
            copy_vectors(to, from, 2);
        return;
    }
    for (; times > 0; times--, to += to_step, from += from_step) {
        copy_vectors(to, from, vectors);
        copy_end(to + whole, from + whole, bytes - whole);
    }
}
