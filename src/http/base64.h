/* Base64 (RFC 4648) in a JSON string. Pure functions; any thread. */
#ifndef RESNEXT_HTTP_BASE64_H
#define RESNEXT_HTTP_BASE64_H

#include <stddef.h>

#include "base/error.h"

/* Decodes the string at *at, which is behind its opening quote, in place: the bytes begin where it
 * began. Either alphabet, with or without padding; line breaks are skipped. Moves *at to the
 * closing quote, or to `end`. ERR_BAD_REQUEST. */
int base64_decode(char **at, char *end, size_t *length, struct error *err);

#endif
