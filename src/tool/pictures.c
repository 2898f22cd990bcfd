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
