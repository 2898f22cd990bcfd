/* An inference request while it is read, and its one input. Only infer.c includes this. */
#ifndef RESNEXT_HTTP_OIP_INFER_INPUT_H
#define RESNEXT_HTTP_OIP_INFER_INPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "http/oip/infer_state.h"
#include "http/oip/tensor_json.h"
#include "serve/request.h"

struct infer_reader {
    struct request *request;
    struct infer *infer;
    json_t *root;
    struct tensor_json_data data[TENSOR_JSON_DATA_MAX];
    size_t data_count;
    uint8_t *rest; /* what follows the JSON */
    size_t rest_length;
    int top_k;
    struct error *err;
};

/* ERR_BAD_REQUEST, with what is wrong. */
int infer_refuse(const struct infer_reader *r, const char *what);

/* A value of `object`, NULL if it is not there: many clients send null for what they leave out. */
json_t *infer_member(const json_t *object, const char *key);

/* The same of its parameters. */
json_t *infer_parameter(const json_t *object, const char *key);

/* Whether they are an object, or not there. */
bool infer_parameters_are_sane(const json_t *object);

/* Finds the images of the one input, and gives the request a part for each; the outputs have been
 * read. ERR_BAD_REQUEST, ERR_TOO_MANY_PARTS, ERR_NO_MEMORY. */
int infer_read_input(struct infer_reader *r);

#endif
