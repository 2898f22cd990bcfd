#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "http/oip/infer_parts.h"
#include "http/oip/tensor_base64.h"

int infer_refuse(const struct infer_reader *r, const char *what)
{
    return error_set(r->err, ERR_BAD_REQUEST, "%s", what);
}

json_t *infer_member(const json_t *object, const char *key)
{
    json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

json_t *infer_parameter(const json_t *object, const char *key)
{
    return infer_member(infer_member(object, "parameters"), key);
}

bool infer_parameters_are_sane(const json_t *object)
{
    const json_t *parameters = infer_member(object, "parameters");
    return !parameters || json_is_object(parameters);
}

/* Checks shape[0], how many images there are. */
static int read_image_count(struct infer_reader *r, const json_t *shape)
{
    const json_t *first = json_array_get(shape, 0);
    json_int_t count = json_integer_value(first);
    if (!json_is_integer(first) || count < 1)
        return infer_refuse(
            r, "the first number of a shape says how many images there are: 1 or more");
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
static bool has_binary(const struct infer_reader *r, const json_t *input, bool *sane)
{
    const json_t *size = infer_parameter(input, "binary_data_size");
    *sane = !size || (json_is_integer(size) && json_integer_value(size) >= 0 &&
                      (uint64_t)json_integer_value(size) == r->rest_length);
    return size != NULL;
}

/* The input's data array; NULL if it has none. */
static const struct tensor_json_data *array_of(const struct infer_reader *r, const json_t *input)
{
    const json_t *index = infer_member(input, "data");
    return index && r->data_count == 1 && json_integer_value(index) == 0 ? &r->data[0] : NULL;
}

/* JPEGs in binary: each a little-endian length of 4 bytes, and so many bytes. */
static int slice_jpegs(struct infer_reader *r)
{
    const uint8_t *at = r->rest;
    size_t left = r->rest_length;
    for (size_t i = 0; i < r->request->part_count; i++) {
        uint32_t length;
        if (left < sizeof length)
            return infer_refuse(r, "the binary data of image ends within an element");
        memcpy(&length, at, sizeof length);
        length = le32toh(length);
        at += sizeof length;
        left -= sizeof length;
        if (length > left)
            return infer_refuse(r, "the binary data of image ends within an element");
        r->request->parts[i].jpeg = at;
        r->request->parts[i].length = length;
        at += length;
        left -= length;
    }
    return left == 0 ? ERR_OK
                     : infer_refuse(r, "the binary data of image has more than its elements");
}

static int decode_jpegs(struct infer_reader *r, const struct tensor_json_data *array, bool nested)
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
    const json_t *type = infer_parameter(input, "content_type");
    const char *name = json_string_value(type);
    return !type || (name && (strcmp(name, "b64") == 0 || strcmp(name, "base64") == 0));
}

static int read_jpegs(struct infer_reader *r, const json_t *input, bool binary)
{
    const json_t *shape = json_object_get(input, "shape");
    size_t rank = json_array_size(shape);
    if (rank < 1 || rank > 2 || (rank == 2 && !shape_is(shape, 1, 1)))
        return infer_refuse(r, "the shape of image must be [N] or [N, 1]");
    int code = read_image_count(r, shape);
    if (code == ERR_OK)
        code = request_set_parts(r->request, r->infer->images, r->top_k, r->err);
    if (code != ERR_OK)
        return code;
    if (binary)
        return slice_jpegs(r);
    if (!is_base64(input))
        return infer_refuse(r, "the content_type of BYTES in JSON must be b64 or base64");
    return decode_jpegs(r, array_of(r, input), rank == 2);
}

static int check_float_bytes(struct infer_reader *r)
{
    size_t size = (size_t)r->infer->terms.size, bytes;
    if (!size_mul(3 * size * size * sizeof(float), r->infer->images, &bytes) ||
        bytes != r->rest_length)
        return infer_refuse(r, "the binary data of input has not the size that its shape has");
    r->infer->binary = r->rest;
    return ERR_OK;
}

static int read_floats(struct infer_reader *r, const json_t *input, bool binary)
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
static int find_data(const struct infer_reader *r, const json_t *input, bool *binary)
{
    bool sane;
    *binary = has_binary(r, input, &sane);
    if (!sane)
        return error_set(r->err, ERR_BAD_REQUEST,
                         "binary_data_size must be %zu, the bytes that follow the JSON",
                         r->rest_length);
    if (*binary ? r->data_count > 0 : !array_of(r, input))
        return infer_refuse(
            r, "the input needs either data or binary_data_size, and nothing else has data");
    if (!*binary && r->rest_length > 0)
        return infer_refuse(r, "bytes follow the JSON, but no input has binary_data_size");
    return ERR_OK;
}

int infer_read_input(struct infer_reader *r)
{
    static const char wanted[] = "inputs must be one of: image (BYTES) or input (FP32)";
    const json_t *inputs = json_object_get(r->root, "inputs"), *input = json_array_get(inputs, 0);
    const char *name = json_string_value(json_object_get(input, "name"));
    const char *type = json_string_value(json_object_get(input, "datatype"));
    bool binary;
    if (json_array_size(inputs) != 1 || !name || !type)
        return infer_refuse(r, wanted);
    if (!infer_parameters_are_sane(input) || !json_is_array(json_object_get(input, "shape")))
        return infer_refuse(r, "an input needs a shape, an array; its parameters are an object");
    int code = find_data(r, input, &binary);
    if (code != ERR_OK)
        return code;
    if (strcmp(name, "image") == 0 && strcmp(type, "BYTES") == 0)
        return read_jpegs(r, input, binary);
    if (strcmp(name, "input") == 0 && strcmp(type, "FP32") == 0)
        return read_floats(r, input, binary);
    return infer_refuse(r, wanted);
}
