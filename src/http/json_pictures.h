/* Pictures in JSON, in the forms that clients of TensorFlow Serving, TorchServe, KServe (v1) and
 * Vertex AI send:
 *
 *   {"instances": [INSTANCE, ...], "parameters": {"top_k": N}, "signature_name": "serving_default"}
 *   {"image": PICTURE, "parameters": {"top_k": N}}
 *
 *   PICTURE    "BASE64", "data:image/jpeg;base64,BASE64" or {"b64": either}
 *   INSTANCE   PICTURE, or an object with one PICTURE: image_bytes, image, data or content
 *
 * "parameters" and "signature_name" may be missing. Pure functions; any thread. */
#ifndef RESNEXT_HTTP_JSON_PICTURES_H
#define RESNEXT_HTTP_JSON_PICTURES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "http/multipart.h"

struct json_pictures {
    struct slice *slices; /* [count], of the body; from malloc, the caller's */
    size_t count;
    bool is_list; /* it has "instances" */
    int top_k;    /* 0: it has none */
};

/* Whether a body without a multipart type is JSON: it begins with a brace, which no JPEG does, or
 * has the type application/json and does not begin as a JPEG. `content_type` may be NULL. */
bool json_pictures_is_json(const char *content_type, const void *body, size_t length);

/* How many pictures json_pictures_read finds at most: the strings that are no keys, `max` at most.
 * As fast as memchr, for the threads that must not wait. */
size_t json_pictures_estimate(char *body, size_t length, size_t max);

/* Finds at most `max` pictures, decoded in place. Nothing is to be freed after an error.
 * ERR_BAD_REQUEST: not JSON, not of these forms, an unknown key, wrong base64; ERR_PARAMETER: top_k
 * is not a whole number from 1; ERR_TOO_MANY_PARTS; ERR_NO_MEMORY. */
int json_pictures_read(char *body, size_t length, size_t max, struct json_pictures *pictures,
                       struct error *err);

#endif
