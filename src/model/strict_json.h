/* Parses untrusted JSON, with rules that keep it unambiguous and its memory bounded. */
#ifndef RESNEXT_MODEL_STRICT_JSON_H
#define RESNEXT_MODEL_STRICT_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Maximum depth of nesting. */
enum { STRICT_JSON_DEPTH = 16 };

/* Parses exactly one JSON object: valid UTF-8, no duplicate key, no NUL, nothing after it, at most
 * STRICT_JSON_DEPTH levels, and values that take at most 64 MiB plus twice the text's size.
 * `*object` belongs to the caller (json_decref). ERR_MODEL_INVALID (the message names the line of a
 * syntax error), ERR_NO_MEMORY. */
int strict_json_object(const char *bytes, size_t length, json_t **object, struct error *err);

/* Whether a value is present and not null. */
bool json_is_said(const json_t *value);

/* Whether two values are equal, as 1 and 1.0 are. A missing value equals no other. */
bool json_is_same(const json_t *a, const json_t *b);

#endif
