#include "tool/pictures.h"

struct preprocess_options picture_preprocess_options(const struct picture_options *options)
{
    return (struct preprocess_options){
        .limits.max_pixels = (uint64_t)options->max_pixels,
        .orientation = options->orientation,
        .decode = DECODE_EXACT,
        .pillow = options->pillow,
    };
}

void picture_random(const struct preprocess_spec *spec, uint8_t *rgb)
{
    size_t bytes = (size_t)spec->size * (size_t)spec->size * 3; /* size is at most 4096 */
    uint32_t state = 1;
    for (size_t i = 0; i < bytes; i++) {
        state = state * 1664525 + 1013904223;
        rgb[i] = (uint8_t)(state >> 24);
    }
}
