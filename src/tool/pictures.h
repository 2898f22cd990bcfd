/* How pictures are read: the options of all commands that read some. */
#ifndef RESNEXT_TOOL_PICTURES_H
#define RESNEXT_TOOL_PICTURES_H

#include <stdint.h>

#include "image/preprocess.h"
#include "tool/args.h"

struct picture_options {
    int64_t max_bytes, max_pixels;
    const char *orientation, *pillow;
};

#define PICTURE_DEFAULTS                                                                           \
    {                                                                                              \
        .max_bytes = 64 << 20, .max_pixels = 100000000, .orientation = "apply", .pillow = "13"     \
    }

/* What --exif-orientation and --pillow may be besides their defaults, NULL-terminated. */
extern const char *const picture_orientations[], *const picture_pillows[];

/* The rows of `options`, a struct picture_options. */
#define OPTIONS_PICTURES(options)                                                                  \
    {.name = "max-bytes",                                                                          \
     .integer = &(options).max_bytes,                                                              \
     .min = 1,                                                                                     \
     .max = INT64_C(1) << 40,                                                                      \
     .argument = "N",                                                                              \
     .help = "largest file read"},                                                                 \
        {.name = "max-pixels",                                                                     \
         .integer = &(options).max_pixels,                                                         \
         .min = 1,                                                                                 \
         .max = INT64_C(1) << 40,                                                                  \
         .argument = "N",                                                                          \
         .help = "largest picture decoded, width x height"},                                       \
        {.name = "exif-orientation",                                                               \
         .text = &(options).orientation,                                                           \
         .choices = picture_orientations,                                                          \
         .argument = "HOW",                                                                        \
         .help = "whether a picture is turned as its EXIF data says"},                             \
    {                                                                                              \
        .name = "pillow", .text = &(options).pillow, .choices = picture_pillows,                   \
        .argument = "VERSION",                                                                     \
        .help = "whose pixels: Pillow 13's, 12.2's and 12.3's, or 9.4's to 12.1's"                 \
    }

/* What they mean. */
struct preprocess_options picture_preprocess_options(const struct picture_options *options);

/* A picture of random pixels, always the same, [size][size][3]. */
void picture_random(const struct preprocess_spec *spec, uint8_t *rgb);

#endif
