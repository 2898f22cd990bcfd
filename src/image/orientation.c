#include "image/orientation.h"

#include <string.h>

/* A TIFF structure with its byte order. */
struct tiff {
    const uint8_t *bytes;
    size_t length;
    bool big_endian;
};

/* Types of TIFF 6.0, section 2, and of its supplements. */
enum type {
    TYPE_SHORT = 3,
    TYPE_LONG,
    TYPE_RATIONAL,
    TYPE_SBYTE,
    TYPE_SSHORT = 8,
    TYPE_SLONG,
    TYPE_SRATIONAL,
    TYPE_FLOAT,
    TYPE_DOUBLE,
    TYPE_IFD,
    TYPE_LONG8 = 16,
    TYPE_COUNT,
};

/* Of one value; 0: a type that is not known. */
static const uint8_t type_bytes[TYPE_COUNT] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8};

enum { TAG_ORIENTATION = 0x0112, ENTRY_BYTES = 12, INLINE_BYTES = 4 };

static uint64_t tiff_unsigned(const struct tiff *tiff, size_t at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | tiff->bytes[tiff->big_endian ? at + i : at + bytes - 1 - i];
    return value;
}

static uint32_t tiff_u32(const struct tiff *tiff, size_t at)
{
    return (uint32_t)tiff_unsigned(tiff, at, 4);
}

static unsigned tiff_u16(const struct tiff *tiff, size_t at)
{
    return (unsigned)tiff_unsigned(tiff, at, 2);
}

static double tiff_float(const struct tiff *tiff, size_t at)
{
    uint32_t bits = tiff_u32(tiff, at);
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
}

static double tiff_double(const struct tiff *tiff, size_t at)
{
    uint64_t bits = tiff_unsigned(tiff, at, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The value at `at`; 0 if the type has no numbers. A negative one may come out as a large one. */
static double tiff_number(const struct tiff *tiff, unsigned type, size_t at)
{
    switch ((enum type)type) {
    case TYPE_SHORT:
    case TYPE_LONG:
    case TYPE_SBYTE:
    case TYPE_SSHORT:
    case TYPE_SLONG:
    case TYPE_IFD:
    case TYPE_LONG8:
        return (double)tiff_unsigned(tiff, at, type_bytes[type]);
    case TYPE_RATIONAL:
        return (double)tiff_u32(tiff, at) / (double)tiff_u32(tiff, at + 4);
    case TYPE_SRATIONAL:
        return (double)(int32_t)tiff_u32(tiff, at) / (double)(int32_t)tiff_u32(tiff, at + 4);
    case TYPE_FLOAT:
        return tiff_float(tiff, at);
    case TYPE_DOUBLE:
        return tiff_double(tiff, at);
    default:
        return 0;
    }
}

static int orientation_of(double number)
{
    for (int i = ORIENTATION_NORMAL; i <= ORIENTATION_ROTATE_270; i++)
        if (number == i)
            return i;
    return ORIENTATION_NORMAL;
}

/* Reads the first directory, up to the first entry whose values are not all there. */
static int tiff_orientation(const struct tiff *tiff)
{
    int found = ORIENTATION_NORMAL;
    size_t at = tiff_u32(tiff, 4);
    if (at > tiff->length - 2)
        return ORIENTATION_NORMAL;
    unsigned entries = tiff_u16(tiff, at);
    at += 2;
    for (; entries > 0 && tiff->length - at >= ENTRY_BYTES; entries--, at += ENTRY_BYTES) {
        unsigned type = tiff_u16(tiff, at + 2);
        uint64_t bytes =
            type < TYPE_COUNT ? (uint64_t)type_bytes[type] * tiff_u32(tiff, at + 4) : 0;
        size_t values = bytes > INLINE_BYTES ? tiff_u32(tiff, at + 8) : at + 8;
        if (bytes == 0)
            continue;
        if (values > tiff->length || bytes > tiff->length - values)
            break;
        if (tiff_u16(tiff, at) == TAG_ORIENTATION)
            found = orientation_of(tiff_number(tiff, type, values));
    }
    return found;
}

/* How the reference lets a TIFF structure start. */
static bool has_magic(const uint8_t *bytes)
{
    static const char magics[][4] = {"MM\0*", "MM*\0", "MM\0+", "II*\0", "II\0*"};
    for (size_t i = 0; i < sizeof magics / sizeof magics[0]; i++)
        if (memcmp(bytes, magics[i], sizeof magics[i]) == 0)
            return true;
    return false;
}

int orientation_parse(const uint8_t *app1, size_t length)
{
    enum { HEAD = 6, TIFF_HEADER = 8 };
    static const char head[HEAD] = "Exif\0";
    if (length <= HEAD || memcmp(app1, head, HEAD) != 0)
        return 0;
    bool doubled = length >= 2 * HEAD && memcmp(app1 + HEAD, head, HEAD) == 0;
    size_t at = doubled ? 2 * HEAD : HEAD;
    if (length - at < TIFF_HEADER || !has_magic(app1 + at))
        return ORIENTATION_NORMAL;
    struct tiff tiff = {app1 + at, length - at, app1[at] == 'M'};
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
