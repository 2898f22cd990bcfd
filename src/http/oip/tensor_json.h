/* Tensors in JSON. A tensor of a megabyte would be tens of megabytes as a tree of JSON values; so
 * the "data" arrays are cut out first, what is left is small and goes to the JSON library, and the
 * arrays are read where they lie (tensor_numbers.h, tensor_base64.h). Pure functions; any thread.
 */
#ifndef RESNEXT_HTTP_OIP_TENSOR_JSON_H
#define RESNEXT_HTTP_OIP_TENSOR_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum {
    TENSOR_JSON_ENVELOPE_MAX = 65536, /* bytes, without data */
    TENSOR_JSON_DEPTH = 16,           /* of brackets */
    TENSOR_JSON_DATA_MAX = 4,         /* data arrays */
};

/* An array as it stands, brackets included. */
struct tensor_json_data {
    char *bytes;
    size_t length;
};

/* Reads a JSON object, in which the value of each key "data" in an object in an array at the top
 * (like inputs[0].data) must be an array or null; for an array the tree has its index in `data`.
 * `*root` belongs to the caller (json_decref). ERR_BAD_REQUEST: not JSON, a key twice, too deep,
 * too long, too many arrays; ERR_NO_MEMORY. */
int tensor_json_read(char *bytes, size_t length, json_t **root,
                     struct tensor_json_data data[TENSOR_JSON_DATA_MAX], size_t *count,
                     struct error *err);

/* Behind the white space at `at`. */
char *tensor_json_skip_space(char *at, const char *end);

/* Moves *at behind white space and then the character `c`; false if something else is there. */
bool tensor_json_take(char **at, const char *end, char c);

#endif
