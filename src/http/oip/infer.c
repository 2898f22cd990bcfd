#include "http/oip/infer.h"

#include <endian.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/jpeg_start.h"
#include "http/oip/infer_parts.h"

static int read_flag(const struct infer_reader *r, const json_t *object, const char *key,
                     bool *flag)
{
    const json_t *value = infer_parameter(object, key);
    if (value && !json_is_boolean(value))
        return error_set(r->err, ERR_BAD_REQUEST, "the parameter %s must be true or false", key);
    if (value)
        *flag = json_is_true(value);
    return ERR_OK;
}

/* --- outputs --- */

static int read_classification(const struct infer_reader *r, const json_t *object, int *top)
{
    const json_t *value = infer_parameter(object, "classification");
    json_int_t count = json_integer_value(value);
    if (!value)
        return ERR_OK;
    if (!json_is_integer(value) || count < 1)
        return infer_refuse(
            r, "the parameter classification, the maximum number of classes, must be a "
               "whole number from 1");
    *top = count < r->infer->terms.classes ? (int)count : r->infer->terms.classes;
    return ERR_OK;
}

static int add_output(struct infer_reader *r, const json_t *object, struct infer_output output)
{
    struct infer *infer = r->infer;
    for (size_t i = 0; i < infer->output_count; i++)
        if (infer->outputs[i].kind == output.kind)
            return error_set(r->err, ERR_BAD_REQUEST, "the output %s is asked for twice",
                             infer_output_name(output.kind));
    int code = read_flag(r, object, "binary_data", &output.binary);
    if (code == ERR_OK)
        code = read_classification(r, object, &output.top);
    if (code != ERR_OK)
        return code;
    r->top_k = output.top > r->top_k ? output.top : r->top_k;
    infer->outputs[infer->output_count++] = output;
    return ERR_OK;
}

static int read_output(struct infer_reader *r, const json_t *object, bool binary)
{
    const char *name = json_string_value(json_object_get(object, "name"));
    if (!name || !infer_parameters_are_sane(object))
        return infer_refuse(r, "each output needs a name; its parameters are an object");
    for (enum infer_output_kind kind = INFER_LOGITS; kind < INFER_OUTPUT_COUNT; kind++)
        if (strcmp(name, infer_output_name(kind)) == 0)
            return add_output(r, object, (struct infer_output){.kind = kind, .binary = binary});
    return error_set(r->err, ERR_BAD_REQUEST,
                     "there is no output \"%.64s\"; ask for logits or probabilities", name);
}

static int add_all_outputs(struct infer_reader *r, bool binary)
{
    int code = ERR_OK;
    for (enum infer_output_kind kind = INFER_LOGITS; kind < INFER_OUTPUT_COUNT && code == ERR_OK;
         kind++)
        code = add_output(r, NULL, (struct infer_output){.kind = kind, .binary = binary});
    return code;
}

static int read_outputs(struct infer_reader *r)
{
    bool binary = false;
    const json_t *outputs = infer_member(r->root, "outputs");
    if (!infer_parameters_are_sane(r->root) || (outputs && !json_is_array(outputs)))
        return infer_refuse(r, "parameters must be an object, outputs an array");
    int code = read_flag(r, r->root, "binary_data_output", &binary);
    for (size_t i = 0; i < json_array_size(outputs) && code == ERR_OK; i++)
        code = read_output(r, json_array_get(outputs, i), binary);
    return code == ERR_OK && json_array_size(outputs) == 0 ? add_all_outputs(r, binary) : code;
}

/* --- all of it --- */

static int read_id(struct infer_reader *r)
{
    json_t *id = infer_member(r->root, "id");
    if (id && !json_is_string(id))
        return infer_refuse(r, "id must be a string");
    r->infer->id = json_incref(id);
    return ERR_OK;
}

/* Triton's raw binary request: the body is the one element of image, without a length before it,
 * and all outputs are sent in binary. */
static int read_raw(struct infer_reader *r)
{
    if (!starts_as_jpeg(r->rest, r->rest_length))
        return error_set(r->err, ERR_NOT_JPEG,
                         "Inference-Header-Content-Length is 0, but the body is not one JPEG and "
                         "nothing else; all other input needs JSON, and its length in that header");
    r->infer->images = 1;
    int code = add_all_outputs(r, true);
    if (code == ERR_OK)
        code = request_set_parts(r->request, 1, r->top_k, r->err);
    if (code != ERR_OK)
        return code;
    r->request->parts[0].jpeg = r->rest;
    r->request->parts[0].length = r->rest_length;
    return ERR_OK;
}

static int decode(struct request *request, struct error *err)
{
    struct infer *infer = request->codec_state;
    struct infer_reader r = {.request = request, .infer = infer, .top_k = 1, .err = err};
    const struct infer_terms *t = &infer->terms;
    size_t json_length =
        t->header_length == INFER_NO_HEADER ? t->body_length : (size_t)t->header_length;
    if (json_length > t->body_length)
        return infer_refuse(&r, "Inference-Header-Content-Length is more than the body has");
    r.rest = request->upload + json_length;
    r.rest_length = t->body_length - json_length;
    if (t->header_length == 0)
        return read_raw(&r);
    int code =
        tensor_json_read((char *)request->upload, json_length, &r.root, r.data, &r.data_count, err);
    if (code != ERR_OK)
        return code;
    code = read_id(&r);
    if (code == ERR_OK)
        code = read_outputs(&r);
    if (code == ERR_OK)
        code = infer_read_input(&r);
    json_decref(r.root);
    return code;
}

/* --- the rest of the codec --- */

/* One image of float32 [3][size][size] to [size][size][3]. */
static int read_binary(const struct infer *infer, size_t image, float *out, struct error *err)
{
    size_t pixels = (size_t)infer->terms.size * (size_t)infer->terms.size;
    const uint8_t *at = infer->binary + image * 3 * pixels * sizeof(float);
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < pixels; i++, at += sizeof(float)) {
            uint32_t bits;
            memcpy(&bits, at, sizeof bits);
            bits = le32toh(bits);
            memcpy(&out[3 * i + c], &bits, sizeof bits);
            if (!isfinite(out[3 * i + c]))
                return error_set(err, ERR_BAD_REQUEST,
                                 "image %zu of input has a number that is not finite", image);
        }
    return ERR_OK;
}

static int read_tensor(struct request *request, size_t part, float *input, struct error *err)
{
    struct infer *infer = request->codec_state;
    return infer->binary ? read_binary(infer, part, input, err)
                         : tensor_numbers_next(&infer->json, input, err);
}

static void release(struct request *request)
{
    struct infer *infer = request->codec_state;
    if (!infer)
        return;
    json_decref(infer->id);
    free(infer->model);
    free(infer);
}

const struct request_codec infer_codec = {decode, read_tensor, infer_encode, release, true};

int infer_prepare(struct request *request, const char *model, const struct infer_terms *terms,
                  struct error *err)
{
    struct infer *infer = calloc(1, sizeof *infer);
    request->codec_state = infer;
    if (infer) {
        infer->terms = *terms;
        infer->model = strdup(model);
    }
    if (!infer || !infer->model)
        return error_set(err, ERR_NO_MEMORY, "no memory for the request; try again later");
    return ERR_OK;
}
