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

/* The next image, float32 [size][size][3] to `out`. A number that a float32 was printed as, with 9
 * digits or more, is read as that float32. ERR_BAD_REQUEST: what is there is no number, out of the
 * range of float32, or (looked for with the last image) not as many as there should be. */
int tensor_numbers_next(struct tensor_numbers *t, float *out, struct error *err);

#endif
