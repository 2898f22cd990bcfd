#include "http/infer.h"

#include <endian.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/jpeg_start.h"
#include "base/size.h"
#include "http/tensor_base64.h"

/* The body while it is read. */
struct reader {
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

const char *infer_output_name(enum infer_output_kind kind)
{
    return kind == INFER_LOGITS ? "logits" : "probabilities";
}

static int refuse(const struct reader *r, const char *what)
{
    return error_set(r->err, ERR_BAD_REQUEST, "%s", what);
}

/* A value of `object`, NULL if it is not there: many clients send null for what they leave out. */
static json_t *member(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

/* The same of its parameters. */
static json_t *parameter(const json_t *object, const char *key)
{
    return member(member(object, "parameters"), key);
}

static bool parameters_are_sane(const json_t *object)
{
    const json_t *parameters = member(object, "parameters");
    return !parameters || json_is_object(parameters);
}

static int read_flag(const struct reader *r, const json_t *object, const char *key, bool *flag)
{
    const json_t *value = parameter(object, key);
    if (value && !json_is_boolean(value))
        return error_set(r->err, ERR_BAD_REQUEST, "the parameter %s must be true or false", key);
    if (value)
        *flag = json_is_true(value);
    return ERR_OK;
}

/* --- outputs --- */

static int read_classification(const struct reader *r, const json_t *object, int *top)
{
    const json_t *value = parameter(object, "classification");
    json_int_t count = json_integer_value(value);
    if (!value)
        return ERR_OK;
    if (!json_is_integer(value) || count < 1)
        return refuse(r, "the parameter classification must be a whole number, 1 or more: at most "
                         "so many classes are named");
    *top = count < r->infer->terms.classes ? (int)count : r->infer->terms.classes;
    return ERR_OK;
}

static int add_output(struct reader *r, const json_t *object, struct infer_output output)
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

static int read_output(struct reader *r, const json_t *object, bool binary)
{
    const char *name = json_string_value(json_object_get(object, "name"));
    if (!name || !parameters_are_sane(object))
        return refuse(r, "each output needs a name; its parameters are an object");
    for (enum infer_output_kind kind = INFER_LOGITS; kind < INFER_OUTPUT_COUNT; kind++)
        if (strcmp(name, infer_output_name(kind)) == 0)
            return add_output(r, object, (struct infer_output){.kind = kind, .binary = binary});
    return error_set(r->err, ERR_BAD_REQUEST,
                     "there is no output \"%.64s\"; ask for logits or probabilities", name);
}

static int add_all_outputs(struct reader *r, bool binary)
{
    int code = ERR_OK;
    for (enum infer_output_kind kind = INFER_LOGITS; kind < INFER_OUTPUT_COUNT && code == ERR_OK;
         kind++)
        code = add_output(r, NULL, (struct infer_output){.kind = kind, .binary = binary});
    return code;
}

static int read_outputs(struct reader *r)
{
    bool binary = false;
    const json_t *outputs = member(r->root, "outputs");
    if (!parameters_are_sane(r->root) || (outputs && !json_is_array(outputs)))
        return refuse(r, "parameters must be an object, outputs an array");
    int code = read_flag(r, r->root, "binary_data_output", &binary);
    for (size_t i = 0; i < json_array_size(outputs) && code == ERR_OK; i++)
        code = read_output(r, json_array_get(outputs, i), binary);
    return code == ERR_OK && json_array_size(outputs) == 0 ? add_all_outputs(r, binary) : code;
}

/* --- the input --- */

/* Checks shape[0], how many images there are. */
static int read_image_count(struct reader *r, const json_t *shape)
{
    const json_t *first = json_array_get(shape, 0);
    json_int_t count = json_integer_value(first);
    if (!json_is_integer(first) || count < 1)
        return refuse(r, "the first number of a shape says how many images there are: 1 or more");
    if ((uint64_t)count > r->infer->terms.max_images)
        return error_set(r->err, ERR_TOO_MANY_PARTS,
                         "a batch of more than %zu images (max_parts); send several requests",
                         r->infer->terms.max_images);
    r->infer->images = (size_t)count;
    return ERR_OK;
}

static bool shape_is(const json_t *shape, size_t index, json_int_t wanted)
{
    const json_t *edge = json_array_get(shape, index);
    return json_is_integer(edge) && json_integer_value(edge) == wanted;
}

/* All that follows the JSON belongs to the one input; false if it says so and is wrong. */
static bool has_binary(const struct reader *r, const json_t *input, bool *sane)
{
    const json_t *size = parameter(input, "binary_data_size");
    *sane = !size || (json_is_integer(size) && json_integer_value(size) >= 0 &&
                      (uint64_t)json_integer_value(size) == r->rest_length);
    return size != NULL;
}

/* The input's data array; NULL if it has none. */
static const struct tensor_json_data *array_of(const struct reader *r, const json_t *input)
{
    const json_t *index = member(input, "data");
    return index && r->data_count == 1 && json_integer_value(index) == 0 ? &r->data[0] : NULL;
}

/* JPEGs in binary: each a little-endian length of 4 bytes, and so many bytes. */
static int slice_jpegs(struct reader *r)
{
    const uint8_t *at = r->rest;
    size_t left = r->rest_length;
    for (size_t i = 0; i < r->request->part_count; i++) {
        uint32_t length;
        if (left < sizeof length)
            return refuse(r, "the binary data of image ends within an element");
        memcpy(&length, at, sizeof length);
        length = le32toh(length);
        at += sizeof length;
        left -= sizeof length;
        if (length > left)
            return refuse(r, "the binary data of image ends within an element");
        r->request->parts[i].jpeg = at;
        r->request->parts[i].length = length;
        at += length;
        left -= length;
    }
    return left == 0 ? ERR_OK : refuse(r, "the binary data of image has more than its elements");
}

static int decode_jpegs(struct reader *r, const struct tensor_json_data *array, bool nested)
{
    size_t count = r->request->part_count;
    struct tensor_json_data *jpegs = calloc(count, sizeof *jpegs);
    if (!jpegs)
        return error_set(r->err, ERR_NO_MEMORY, "no memory for the request; try again later");
    int code = tensor_base64(array, count, nested, jpegs, r->err);
    for (size_t i = 0; i < count && code == ERR_OK; i++) {
        r->request->parts[i].jpeg = (const uint8_t *)jpegs[i].bytes;
        r->request->parts[i].length = jpegs[i].length;
    }
    free(jpegs);
    return code;
}

static bool is_base64(const json_t *input)
{
    const json_t *type = parameter(input, "content_type");
    const char *name = json_string_value(type);
    return !type || (name && (strcmp(name, "b64") == 0 || strcmp(name, "base64") == 0));
}

static int read_jpegs(struct reader *r, const json_t *input, bool binary)
{
    const json_t *shape = json_object_get(input, "shape");
    size_t rank = json_array_size(shape);
    if (rank < 1 || rank > 2 || (rank == 2 && !shape_is(shape, 1, 1)))
        return refuse(r, "the shape of image must be [N] or [N, 1]");
    int code = read_image_count(r, shape);
    if (code == ERR_OK)
        code = request_set_parts(r->request, r->infer->images, r->top_k, r->err);
    if (code != ERR_OK)
        return code;
    if (binary)
        return slice_jpegs(r);
    if (!is_base64(input))
        return refuse(r, "the content_type of BYTES in JSON must be b64 or base64");
    return decode_jpegs(r, array_of(r, input), rank == 2);
}

static int check_float_bytes(struct reader *r)
{
    size_t size = (size_t)r->infer->terms.size, bytes;
    if (!size_mul(3 * size * size * sizeof(float), r->infer->images, &bytes) ||
        bytes != r->rest_length)
        return refuse(r, "the binary data of input has not the size that its shape has");
    r->infer->binary = r->rest;
    return ERR_OK;
}

static int read_floats(struct reader *r, const json_t *input, bool binary)
{
    const json_t *shape = json_object_get(input, "shape");
    int size = r->infer->terms.size;
    if (json_array_size(shape) != 4 || !shape_is(shape, 1, 3) || !shape_is(shape, 2, size) ||
        !shape_is(shape, 3, size))
        return error_set(r->err, ERR_BAD_REQUEST, "the shape of input must be [N, 3, %d, %d]", size,
                         size);
    int code = read_image_count(r, shape);
    if (code == ERR_OK)
        code = request_set_parts(r->request, r->infer->images, r->top_k, r->err);
    if (code != ERR_OK)
        return code;
    return binary ? check_float_bytes(r)
                  : tensor_numbers_open(&r->infer->json, array_of(r, input), (size_t)size,
                                        r->infer->images, r->err);
}

/* Where the numbers or bytes of the input are: behind the JSON, or in it. */
static int find_data(const struct reader *r, const json_t *input, bool *binary)
{
    bool sane;
    *binary = has_binary(r, input, &sane);
    if (!sane)
        return error_set(r->err, ERR_BAD_REQUEST,
                         "binary_data_size must be %zu, the bytes that follow the JSON",
                         r->rest_length);
    if (*binary ? r->data_count > 0 : !array_of(r, input))
        return refuse(r,
                      "the input needs either data or binary_data_size, and nothing else has data");
    if (!*binary && r->rest_length > 0)
        return refuse(r, "bytes follow the JSON, but no input has binary_data_size");
    return ERR_OK;
}

static int read_input(struct reader *r)
{
    static const char wanted[] = "inputs must be one of: image (BYTES) or input (FP32)";
    const json_t *inputs = json_object_get(r->root, "inputs"), *input = json_array_get(inputs, 0);
    const char *name = json_string_value(json_object_get(input, "name"));
    const char *type = json_string_value(json_object_get(input, "datatype"));
    bool binary;
    if (json_array_size(inputs) != 1 || !name || !type)
        return refuse(r, wanted);
    if (!parameters_are_sane(input) || !json_is_array(json_object_get(input, "shape")))
        return refuse(r, "an input needs a shape, an array; its parameters are an object");
    int code = find_data(r, input, &binary);
    if (code != ERR_OK)
        return code;
    if (strcmp(name, "image") == 0 && strcmp(type, "BYTES") == 0)
        return read_jpegs(r, input, binary);
    if (strcmp(name, "input") == 0 && strcmp(type, "FP32") == 0)
        return read_floats(r, input, binary);
    return refuse(r, wanted);
}

static int read_id(struct reader *r)
{
    json_t *id = member(r->root, "id");
    if (id && !json_is_string(id))
        return refuse(r, "id must be a string");
    r->infer->id = json_incref(id);
    return ERR_OK;
}

/* Triton's raw binary request: the body is the one element of image, without a length before it,
 * and all outputs are sent in binary. */
static int read_raw(struct reader *r)
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
    struct reader r = {.request = request, .infer = infer, .top_k = 1, .err = err};
    const struct infer_terms *t = &infer->terms;
    size_t json_length =
        t->header_length == INFER_NO_HEADER ? t->body_length : (size_t)t->header_length;
    if (json_length > t->body_length)
        return refuse(&r, "Inference-Header-Content-Length is more than the body has");
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
        code = read_input(&r);
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
    free(infer->answer);
    free(infer);
}

const struct request_codec infer_codec = {decode, read_tensor, infer_encode, release};

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
