/* Recognises a file by its first bytes. */
#ifndef RESNEXT_IMAGE_MAGIC_H
#define RESNEXT_IMAGE_MAGIC_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* ERR_NOT_JPEG unless a file starts like a JPEG; the message says what it looks like instead. */
int magic_check(const uint8_t *bytes, size_t length, struct error *err);

#endif
