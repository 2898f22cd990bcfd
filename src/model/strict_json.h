/* JSON from outside, read with the rules that keep it unambiguous and cheap. */
#ifndef RESNEXT_MODEL_STRICT_JSON_H
#define RESNEXT_MODEL_STRICT_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Deepest nesting that is read. */
enum { STRICT_JSON_DEPTH = 16 };

/* Parses exactly one JSON object: valid UTF-8, no key twice, no NUL, nothing behind it, at most
 * STRICT_JSON_DEPTH levels, no more values than 64 MiB and twice the text have space for.
 * `*object` belongs to the caller (json_decref). ERR_MODEL_INVALID, which names the line. */
int strict_json_object(const char *bytes, size_t length, json_t **object, struct error *err);

/* Whether a value is there, and not null. */
bool json_is_said(const json_t *value);

/* Whether two values are the same; so are 1 and 1.0. One that is missing is no other's equal. */
bool json_is_same(const json_t *a, const json_t *b);

#endif
