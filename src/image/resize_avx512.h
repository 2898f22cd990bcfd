/* The passes of resize.h on 512-bit vectors (AVX-512 F, BW and VL): the same bytes. They do as much
 * as fills their vectors; the rest is left to the portable passes. */
#ifndef RESNEXT_IMAGE_RESIZE_AVX512_H
#define RESNEXT_IMAGE_RESIZE_AVX512_H

#include <stddef.h>
#include <stdint.h>

#include "image/resize.h"

/* The horizontal pass of outputs whose spans are `spans` and whose weights, `groups` (1 or 2) each,
 * stand one behind the other: writes output i, three bytes, to rgb + i * step, for the first
 * outputs; `step` is 3 or -3. Returns how many. */
int resize_avx512_horizontal(const struct resize_span *spans, const int16_t *weights, int groups,
                             int count, const uint8_t *rgbx, uint8_t *rgb, ptrdiff_t step);

/* The vertical pass of the first bytes of a row, in whole vectors. Returns how many. */
size_t resize_avx512_vertical(const int16_t *weights, int taps, const uint8_t *rows, size_t stride,
                              size_t bytes, uint8_t *out);

#endif
