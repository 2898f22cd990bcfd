/* How pictures are read: the options of all commands that read some. */
#ifndef RESNEXT_TOOL_PICTURES_H
#define RESNEXT_TOOL_PICTURES_H

#include <stdint.h>

#include "image/preprocess.h"
#include "tool/args.h"

struct picture_options {
    int64_t max_bytes, max_pixels;
    const char *orientation;
};

#define PICTURE_DEFAULTS                                                                           \
    {                                                                                              \
        .max_bytes = 64 << 20, .max_pixels = 100000000, .orientation = "apply"                     \
    }

/* What --exif-orientation may be besides its default, NULL-terminated. */
extern const char *const picture_orientations[];

/* The rows of `options`, a struct picture_options. */
#define OPTIONS_PICTURES(options)                                                                  \
    {.name = "max-bytes",                                                                          \
     .integer = &(options).max_bytes,                                                              \
     .least = 1,                                                                                   \
     .most = INT64_C(1) << 40,                                                                     \
     .argument = "N",                                                                              \
     .help = "largest file read"},                                                                 \
        {.name = "max-pixels",                                                                     \
         .integer = &(options).max_pixels,                                                         \
         .least = 1,                                                                               \
         .most = INT64_C(1) << 40,                                                                 \
         .argument = "N",                                                                          \
         .help = "largest picture decoded, width x height"},                                       \
    {                                                                                              \
        .name = "exif-orientation", .text = &(options).orientation,                                \
        .choices = picture_orientations, .argument = "HOW",                                        \
        .help = "whether a picture is turned as its EXIF data says"                                \
    }

/* What they mean. */
struct preprocess_options picture_preprocess_options(const struct picture_options *options);

#endif
