#include "tool/pictures.h"

#include <string.h>

struct preprocess_options picture_preprocess_options(const struct picture_options *options)
{
    return (struct preprocess_options){
        .limits.max_pixels = (uint64_t)options->max_pixels,
        .orientation = strcmp(options->orientation, "ignore") == 0 ? EXIF_IGNORE : EXIF_APPLY,
        .pillow = strcmp(options->pillow, "12.2") == 0  ? PILLOW_12_2
                  : strcmp(options->pillow, "9.4") == 0 ? PILLOW_9_4
                                                        : PILLOW_13,
    };
}
