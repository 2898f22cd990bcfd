#include "image/orientation.h"

#include <string.h>

/* A TIFF structure with its byte order. */
struct tiff {
    const uint8_t *bytes;
    size_t length;
    bool big_endian;
};

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, TYPE_LONG = 4, ENTRY_BYTES = 12 };

static unsigned tiff_u16(const struct tiff *tiff, size_t at)
{
    unsigned a = tiff->bytes[at], b = tiff->bytes[at + 1];
    return tiff->big_endian ? a << 8 | b : b << 8 | a;
}

static uint32_t tiff_u32(const struct tiff *tiff, size_t at)
{
    uint32_t a = tiff_u16(tiff, at), b = tiff_u16(tiff, at + 2);
    return tiff->big_endian ? a << 16 | b : b << 16 | a;
}

/* The value of the entry at `at`, or 0 if it is not one orientation. */
static uint32_t entry_orientation(const struct tiff *tiff, size_t at)
{
    unsigned type = tiff_u16(tiff, at + 2);
    if (tiff_u32(tiff, at + 4) != 1)
        return 0;
    if (type == TYPE_SHORT)
        return tiff_u16(tiff, at + 8);
    return type == TYPE_LONG ? tiff_u32(tiff, at + 8) : 0;
}

static int tiff_orientation(const struct tiff *tiff)
{
    uint32_t found = ORIENTATION_NORMAL;
    size_t at = tiff_u32(tiff, 4);
    if (at > tiff->length - 2)
        return ORIENTATION_NORMAL;
    unsigned entries = tiff_u16(tiff, at);
    at += 2;
    for (; entries > 0 && tiff->length - at >= ENTRY_BYTES; entries--, at += ENTRY_BYTES) {
        if (tiff_u16(tiff, at) == TAG_ORIENTATION)
            found = entry_orientation(tiff, at);
    }
    bool known = found >= ORIENTATION_NORMAL && found <= ORIENTATION_ROTATE_270;
    return known ? (int)found : ORIENTATION_NORMAL;
}

int orientation_parse(const uint8_t *app1, size_t length)
{
    static const char exif[] = "Exif"; /* with its NUL; a fill byte follows */
    enum { TIFF_AT = 6, TIFF_HEADER = 8 };
    if (length < sizeof exif || memcmp(app1, exif, sizeof exif) != 0)
        return 0;
    if (length < TIFF_AT + TIFF_HEADER)
        return ORIENTATION_NORMAL;
    struct tiff tiff = {app1 + TIFF_AT, length - TIFF_AT, false};
    if (memcmp(tiff.bytes, "MM\0*", 4) == 0)
        tiff.big_endian = true;
    else if (memcmp(tiff.bytes, "II*\0", 4) != 0)
        return ORIENTATION_NORMAL;
    return tiff_orientation(&tiff);
}

bool orientation_swaps(enum orientation orientation)
{
    return orientation >= ORIENTATION_TRANSPOSE;
}

bool orientation_reverses_columns(enum orientation orientation)
{
    return orientation == ORIENTATION_FLIP_X || orientation == ORIENTATION_ROTATE_180 ||
           orientation == ORIENTATION_ROTATE_90 || orientation == ORIENTATION_TRANSVERSE;
}

bool orientation_reverses_rows(enum orientation orientation)
{
    return orientation == ORIENTATION_FLIP_Y || orientation == ORIENTATION_ROTATE_180 ||
           orientation == ORIENTATION_ROTATE_270 || orientation == ORIENTATION_TRANSVERSE;
}
