/* The numbers of images in a data array of JSON, read one image at a time. Pure functions; any
 * thread. */
#ifndef RESNEXT_HTTP_OIP_TENSOR_NUMBERS_H
#define RESNEXT_HTTP_OIP_TENSOR_NUMBERS_H

#include <stdbool.h>

#include "http/oip/tensor_json.h"

/* Images [images][3][size][size] in an array of numbers, flat or nested. */
struct tensor_numbers {
    char *at, *end;
    bool nested;
    size_t size, images, next;
};

/* ERR_BAD_REQUEST if it is not an array. */
int tensor_numbers_open(struct tensor_numbers *t, const struct tensor_json_data *data, size_t size,
                        size_t images, struct error *err);

/* Reads the next image to `out`, float32 [size][size][3]. A float32 printed with 9 digits or more
 * is read back exactly. ERR_BAD_REQUEST: not a number, out of the range of float32, or (checked
 * with the last image) the wrong count. */
int tensor_numbers_next(struct tensor_numbers *t, float *out, struct error *err);

#endif
