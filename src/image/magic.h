/* What a file is by its first bytes. */
#ifndef RESNEXT_IMAGE_MAGIC_H
#define RESNEXT_IMAGE_MAGIC_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Whether a file starts as a JPEG does; else ERR_NOT_JPEG, with what it looks like. */
int magic_check(const uint8_t *bytes, size_t length, struct error *err);

#endif
