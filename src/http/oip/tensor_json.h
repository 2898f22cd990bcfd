/* Tensors in JSON. As a tree of JSON values a tensor of one megabyte would take tens of megabytes.
 * So the "data" arrays are cut out first. The rest is small and goes to the JSON library; the
 * arrays are read in place (tensor_numbers.h, tensor_base64.h). Pure functions; any thread. */
#ifndef RESNEXT_HTTP_OIP_TENSOR_JSON_H
#define RESNEXT_HTTP_OIP_TENSOR_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "base/error.h"

enum { TENSOR_JSON_DATA_MAX = 4 }; /* data arrays */

/* An array as it stands, brackets included. */
struct tensor_json_data {
    char *bytes;
    size_t length;
};

/* Reads a JSON object. Each "data" key of an object in an array at the top level (as in
 * inputs[0].data) must be an array or null; in the tree an array is replaced by its index in
 * `data`. `*root` belongs to the caller (json_decref). ERR_BAD_REQUEST: not JSON, a duplicate key,
 * too deep, too long, too many arrays; ERR_NO_MEMORY. */
int tensor_json_read(char *bytes, size_t length, json_t **root,
                     struct tensor_json_data data[TENSOR_JSON_DATA_MAX], size_t *count,
                     struct error *err);

#endif
