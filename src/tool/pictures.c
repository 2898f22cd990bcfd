#include "tool/pictures.h"

#include <string.h>

const char *const picture_orientations[] = {"ignore", NULL};

struct preprocess_options picture_preprocess_options(const struct picture_options *options)
{
    return (struct preprocess_options){
        .limits.max_pixels = (uint64_t)options->max_pixels,
        .orientation = strcmp(options->orientation, "ignore") == 0 ? EXIF_IGNORE : EXIF_APPLY,
    };
}
