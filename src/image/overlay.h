/* Draws a grid of numbers over the picture that a network saw. */
#ifndef RESNEXT_IMAGE_OVERLAY_H
#define RESNEXT_IMAGE_OVERLAY_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "image/preprocess.h"

/* Maximum edge of an overlay; a picture that is larger even at 1/8 of its size exceeds it. */
enum { OVERLAY_EDGE = 2048 };

/* `values` [rows][cols], finite. The cells divide the network's square evenly. */
struct overlay_grid {
    int rows, cols;
    const float *values;
};

/* Decodes a picture again, colours it by the grid and encodes it. Lightness comes from the picture,
 * hue from the grid. The grid is upsampled bilinearly over the part of the picture that the network
 * saw. Its minimum is dark blue, its maximum light yellow; pixels outside the crop are dim gray.
 * The overlay has the file's orientation. If the network saw the picture turned
 * (options->orientation), an EXIF tag makes viewers turn the overlay, too. Rows are processed one
 * batch at a time: memory is that of the decoder, a few rows and the result. `*bytes` belongs to
 * the caller (free). The errors of preprocessor_run. */
int overlay_draw(const struct preprocess_spec *spec, const struct preprocess_options *options,
                 const struct overlay_grid *grid, const uint8_t *jpeg, size_t length,
                 uint8_t **bytes, size_t *bytes_length, struct error *err);

#endif
