/* How every JPEG starts: with SOI, and the first byte of another marker. */
#ifndef RESNEXT_BASE_JPEG_START_H
#define RESNEXT_BASE_JPEG_START_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define JPEG_START "\xff\xd8\xff"

enum { JPEG_START_LENGTH = sizeof JPEG_START - 1 };

static inline bool starts_as_jpeg(const void *bytes, size_t length)
{
    return length >= JPEG_START_LENGTH && memcmp(bytes, JPEG_START, JPEG_START_LENGTH) == 0;
}

#endif
