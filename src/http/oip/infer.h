/* Inference requests and answers of the Open Inference Protocol v2 (inference_rest.md), with
 * Triton's extensions for binary tensors and for classification. Inputs, of which a request has
 * one:
 *
 *   image   BYTES [N] or [N, 1]     JPEGs; in JSON as base64
 *   input   FP32 [N, 3, size, size] numbers as the network takes them, normalised, RGB
 *
 * Outputs: logits and probabilities, FP32 [N, classes], or BYTES [N, k] "score:index:label". What
 * is optional may be null. */
#ifndef RESNEXT_HTTP_OIP_INFER_H
#define RESNEXT_HTTP_OIP_INFER_H

#include <stddef.h>
#include <stdint.h>

#include "serve/request.h"

#define INFER_VERSION "1"

enum { INFER_NO_HEADER = -1 };

/* The bounds that a request is checked against. */
struct infer_terms {
    int size, classes;
    size_t max_images;
    int64_t header_length; /* Inference-Header-Content-Length, INFER_NO_HEADER without one; 0: the
                              body is one JPEG, all of it */
    size_t body_length;
};

enum infer_output_kind { INFER_LOGITS, INFER_PROBABILITIES, INFER_OUTPUT_COUNT };

static inline const char *infer_output_name(enum infer_output_kind kind)
{
    return kind == INFER_LOGITS ? "logits" : "probabilities";
}

/* Reads and writes in the worker. The request comes from request_create, with no parts and with the
 * body as its upload, which the codec changes. */
extern const struct request_codec infer_codec;

/* Makes the state of a request, which frees it. `model` is the name for the answer. ERR_NO_MEMORY.
 */
int infer_prepare(struct request *request, const char *model, const struct infer_terms *terms,
                  struct error *err);

#endif
