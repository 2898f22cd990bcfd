/* How pictures are read: the options of all commands that read some, as they were given. */
#ifndef RESNEXT_TOOL_PICTURES_H
#define RESNEXT_TOOL_PICTURES_H

#include <stdint.h>

#include "image/preprocess.h"

struct picture_options {
    int64_t max_bytes, max_pixels;
    enum exif_orientation orientation;
    enum pillow pillow;
};

/* What they mean. */
struct preprocess_options picture_preprocess_options(const struct picture_options *options);

/* A picture of random pixels, always the same, [size][size][3]. */
void picture_random(const struct preprocess_spec *spec, uint8_t *rgb);

#endif
