/* Base64 strings in a data array of JSON. Pure functions; any thread. */
#ifndef RESNEXT_HTTP_OIP_TENSOR_BASE64_H
#define RESNEXT_HTTP_OIP_TENSOR_BASE64_H

#include <stdbool.h>

#include "http/oip/tensor_json.h"

/* Decodes an array of `count` strings of base64 (RFC 4648, either alphabet, with or without
 * padding; line breaks are skipped) in place: slices of `data` to `out`. If `nested`, each may
 * stand in an array of its own. ERR_BAD_REQUEST. */
int tensor_base64(const struct tensor_json_data *data, size_t count, bool nested,
                  struct tensor_json_data *out, struct error *err);

#endif
