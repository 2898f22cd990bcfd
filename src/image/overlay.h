/* A grid of numbers drawn over the picture that a network saw. */
#ifndef RESNEXT_IMAGE_OVERLAY_H
#define RESNEXT_IMAGE_OVERLAY_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "image/preprocess.h"

/* Both edges of an overlay are at most this, if scaling by 1/2, 1/4 or 1/8 can do it. */
enum { OVERLAY_EDGE = 2048 };

/* `values` [rows][cols], finite, spread evenly over the network's square. */
struct overlay_grid {
    int rows, cols;
    const float *values;
};

/* Decodes a picture once more, colours it by the grid and encodes it: the picture gives the light,
 * the grid the colour. The grid is upsampled bilinearly over what the network saw, traced back
 * through crop and resize; its least value is dark blue, its greatest a light yellow. What the crop
 * cut off is a dim gray. The overlay lies as the file does; where the network saw the picture
 * turned (options->orientation), an EXIF tag has viewers turn it as well. Rows are worked on as
 * they come: memory is that of the decoder, of a few rows and of the result. `*bytes` belongs to
 * the caller (free). The errors of preprocessor_run. */
int overlay_draw(const struct preprocess_spec *spec, const struct preprocess_options *options,
                 const struct overlay_grid *grid, const uint8_t *jpeg, size_t length,
                 uint8_t **bytes, size_t *bytes_length, struct error *err);

#endif
