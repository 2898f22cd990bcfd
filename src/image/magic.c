#include "image/magic.h"

#include <stdbool.h>

#include "base/jpeg_start.h"

/* What other kinds of files start with. A '?' matches any byte. */
static const struct {
    const char *name, *magic;
    size_t length;
} other_kinds[] = {
    {"a PNG", "\x89PNG", 4},
    {"a GIF", "GIF8", 4},
    {"a WebP", "RIFF????WEBP", 12},
    {"a HEIC", "????ftyphei", 11},
    {"a HEIC", "????ftyphev", 11},
    {"a HEIC", "????ftypmif1", 12},
    {"an AVIF", "????ftypavi", 11},
    {"a JPEG 2000", "????jP  ", 8},
    {"a JPEG XL", "????JXL ", 8},
    {"a JPEG XL", "\xff\x0a", 2},
    {"a PDF", "%PDF", 4},
    {"a TIFF", "II*\0", 4},
    {"a TIFF", "MM\0*", 4},
    {"a BMP", "BM????\0\0\0\0", 10},
    {"an SVG", "<svg", 4},
    {"an HTML or XML document", "<", 1},
    {"JSON", "{", 1},
};

static bool starts_with(const uint8_t *bytes, size_t length, const char *magic, size_t magic_length)
{
    if (length < magic_length)
        return false;
    for (size_t i = 0; i < magic_length; i++) {
        if (magic[i] != '?' && bytes[i] != (uint8_t)magic[i])
            return false;
    }
    return true;
}

int magic_check(const uint8_t *bytes, size_t length, struct error *err)
{
    /* A file may end after SOI, and is then a damaged one. */
    size_t known = length == 2 ? 2 : JPEG_START_LENGTH;
    if (starts_with(bytes, length, JPEG_START, known))
        return ERR_OK;
    if (length == 0)
        return error_set(err, ERR_NOT_JPEG, "there are no bytes; send a JPEG");
    for (size_t i = 0; i < sizeof other_kinds / sizeof other_kinds[0]; i++) {
        if (starts_with(bytes, length, other_kinds[i].magic, other_kinds[i].length))
            return error_set(err, ERR_NOT_JPEG, "this looks like %s; send a JPEG",
                             other_kinds[i].name);
    }
    return error_set(err, ERR_NOT_JPEG, "this does not start like a JPEG; send a JPEG");
}
