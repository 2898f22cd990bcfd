/* What libconfig lets pass and this program must not. */
#ifndef RESNEXT_CONF_SCREEN_H
#define RESNEXT_CONF_SCREEN_H

#include <stddef.h>

#include "base/error.h"

/* Copies `text` for libconfig 1.5, which wraps integers of more than 32 bits silently unless they
 * end in L: every integer gets its L. `*out` is NUL-terminated and belongs to the caller (free).
 * ERR_CONFIG (the message begins with `name` and the line): a NUL byte, an @include, an unfinished
 * comment or string. ERR_NO_MEMORY. */
int conf_screen(const char *name, const char *text, size_t length, char **out, struct error *err);

#endif
