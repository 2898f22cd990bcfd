/* What an inference request asks for. */
#ifndef RESNEXT_HTTP_OIP_INFER_STATE_H
#define RESNEXT_HTTP_OIP_INFER_STATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/oip/tensor_numbers.h"

#define INFER_VERSION "1"

enum { INFER_NO_HEADER = -1 };

/* What a request is read against. */
struct infer_terms {
    int size, classes;
    size_t max_images;
    int64_t header_length; /* Inference-Header-Content-Length, INFER_NO_HEADER without one; 0: the
                              body is one JPEG, all of it */
    size_t body_length;
};

enum infer_output_kind { INFER_LOGITS, INFER_PROBABILITIES, INFER_OUTPUT_COUNT };

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

static inline const char *infer_output_name(enum infer_output_kind kind)
{
    return kind == INFER_LOGITS ? "logits" : "probabilities";
}

#endif
