/* An inference request while it is read, worked on and answered; only the infer*.c see this. */
#ifndef RESNEXT_HTTP_OIP_INFER_PARTS_H
#define RESNEXT_HTTP_OIP_INFER_PARTS_H

#include "http/oip/infer.h"
#include "http/oip/tensor_numbers.h"

struct infer_output {
    enum infer_output_kind kind;
    bool binary;
    int top; /* classification: so many strings, at most `classes`; 0: all numbers */
};

/* What a request asks for; request->codec_state. */
struct infer {
    char *model; /* its name */
    struct infer_terms terms;
    json_t *id; /* a string, or NULL */
    struct infer_output outputs[INFER_OUTPUT_COUNT];
    size_t output_count;
    size_t images;
    const uint8_t *binary; /* float32 [images][3][size][size], little-endian, unaligned; or NULL: */
    struct tensor_numbers json;
};

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

/* ERR_BAD_REQUEST with this message. */
int infer_refuse(const struct infer_reader *r, const char *what);

/* A member of `object`, NULL if it is missing or null: many clients send null for members they
 * leave out. */
json_t *infer_member(const json_t *object, const char *key);

/* The same for a member of its parameters. */
json_t *infer_parameter(const json_t *object, const char *key);

/* Whether its parameters are an object or missing. */
bool infer_parameters_are_sane(const json_t *object);

/* Finds the images of the one input and makes a part of the request for each. The outputs must have
 * been read. ERR_BAD_REQUEST, ERR_TOO_MANY_PARTS, ERR_NO_MEMORY. */
int infer_read_input(struct infer_reader *r);

/* Writes request->answer: JSON, then the binary tensors. The worker; never fails. */
int infer_encode(struct request *request, struct error *err);

#endif
