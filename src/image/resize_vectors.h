/* The passes of resize.h on wider vectors, with the same results. They compute whole vectors; the
 * portable passes compute the rest. */
#ifndef RESNEXT_IMAGE_RESIZE_VECTORS_H
#define RESNEXT_IMAGE_RESIZE_VECTORS_H

#include <stddef.h>
#include <stdint.h>

#include "image/resize.h"

struct resize_vectors {
    /* The horizontal pass of outputs whose spans are `spans` and whose weights, `groups` (1 or 2)
     * each, stand one behind the other: writes output i, three bytes, to rgb + i * step, for the
     * first outputs; `step` is 3 or -3. Returns how many. */
    int (*horizontal)(const struct resize_span *spans, const int16_t *weights, int groups,
                      int count, const uint8_t *rgbx, uint8_t *rgb, ptrdiff_t step);

    /* The vertical pass of the first bytes of a row, in whole vectors. Returns how many. */
    size_t (*vertical)(const int16_t *weights, int taps, const uint8_t *rows, size_t stride,
                       size_t bytes, uint8_t *out);
};

extern const struct resize_vectors resize_avx2;
extern const struct resize_vectors resize_avx512;

#endif
