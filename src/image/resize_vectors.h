/* The passes of resize.h on wider vectors, with the same results. They compute whole vectors only;
 * the portable passes compute the rest. */
#ifndef RESNEXT_IMAGE_RESIZE_VECTORS_H
#define RESNEXT_IMAGE_RESIZE_VECTORS_H

#include <stddef.h>
#include <stdint.h>

#include "image/resize.h"

struct resize_vectors {
    /* The horizontal pass of the first outputs. Output i has spans[i] and `groups` (1 or 2) groups
     * of weights; the weights of all outputs are contiguous. It is written, three bytes, to rgb + i
     * * step; `step` is 3 or -3. Returns the number of outputs. */
    int (*horizontal)(const struct resize_span *spans, const int16_t *weights, int groups,
                      int count, const uint8_t *rgbx, uint8_t *rgb, ptrdiff_t step);

    /* The vertical pass of the first bytes of a row, in whole vectors. Returns the number of bytes.
     */
    size_t (*vertical)(const int16_t *weights, int taps, const uint8_t *rows, size_t stride,
                       size_t bytes, uint8_t *out);
};

extern const struct resize_vectors resize_avx2;
extern const struct resize_vectors resize_avx512;

#endif
