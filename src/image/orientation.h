/* The orientation of a picture: EXIF 2.3, tag 0x0112. */
#ifndef RESNEXT_IMAGE_ORIENTATION_H
#define RESNEXT_IMAGE_ORIENTATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum orientation {
    ORIENTATION_NORMAL = 1,
    ORIENTATION_FLIP_X,
    ORIENTATION_ROTATE_180,
    ORIENTATION_FLIP_Y,
    ORIENTATION_TRANSPOSE,
    ORIENTATION_ROTATE_90, /* clockwise, to be upright */
    ORIENTATION_TRANSVERSE,
    ORIENTATION_ROTATE_270,
};

/* The orientation in the body of an APP1 marker (what follows its length), or 0 if the body is not
 * EXIF or nothing follows its head. As in Pillow's ImageOps.exif_transpose, the tag may have any
 * numeric type, its first value counts, and the last of several tags counts. Damaged EXIF, or EXIF
 * without the tag, is ORIENTATION_NORMAL. Any bytes are safe. */
int orientation_parse(const uint8_t *app1, size_t length);

/* How to turn the file's picture upright: whether its rows become columns, and whether the upright
 * picture's columns (from left to right), or its rows (from top to bottom), are in reverse order of
 * the file's. */
bool orientation_swaps(enum orientation orientation);
bool orientation_reverses_columns(enum orientation orientation);
bool orientation_reverses_rows(enum orientation orientation);

#endif
