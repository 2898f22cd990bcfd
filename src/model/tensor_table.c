#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "model/safetensors.h"
#include "model/strict_json.h"
#include "model/tensor_names.h"

static const struct {
    const char *name;
    size_t bytes;
} types[] = {
    [TENSOR_F32] = {"F32", 4},         [TENSOR_F16] = {"F16", 2},
    [TENSOR_BF16] = {"BF16", 2},       [TENSOR_F64] = {"F64", 8},
    [TENSOR_I64] = {"I64", 8},         [TENSOR_I32] = {"I32", 4},
    [TENSOR_I16] = {"I16", 2},         [TENSOR_I8] = {"I8", 1},
    [TENSOR_U64] = {"U64", 8},         [TENSOR_U32] = {"U32", 4},
    [TENSOR_U16] = {"U16", 2},         [TENSOR_U8] = {"U8", 1},
    [TENSOR_BOOL] = {"BOOL", 1},       [TENSOR_F8_E4M3] = {"F8_E4M3", 1},
    [TENSOR_F8_E5M2] = {"F8_E5M2", 1},
};

const char *tensor_type_name(enum tensor_type type)
{
    return types[type].name;
}

size_t tensor_type_bytes(enum tensor_type type)
{
    return types[type].bytes;
}

const char *tensor_shape_text(const struct tensor_info *tensor, char text[SAFETENSORS_SHAPE_TEXT])
{
    size_t used = (size_t)snprintf(text, SAFETENSORS_SHAPE_TEXT, "[");
    for (int i = 0; i < tensor->rank && used < SAFETENSORS_SHAPE_TEXT; i++)
        used += (size_t)snprintf(text + used, SAFETENSORS_SHAPE_TEXT - used, "%s%zu", i ? ", " : "",
                                 tensor->shape[i]);
    if (used < SAFETENSORS_SHAPE_TEXT)
        snprintf(text + used, SAFETENSORS_SHAPE_TEXT - used, "]");
    return text;
}

int tensor_table_header_length(const unsigned char prefix[8], uint64_t file_size, size_t *length,
                               struct error *err)
{
    uint64_t n = 0;
    for (int i = 7; i >= 0; i--)
        n = n << 8 | prefix[i];
    if (n > SAFETENSORS_MAX_HEADER)
        return error_set(err, ERR_MODEL_INVALID,
                         "the header claims %ju bytes; at most %d are read (is it safetensors?)",
                         (uintmax_t)n, SAFETENSORS_MAX_HEADER);
    if (n > file_size || file_size - n < 8)
        return error_set(err, ERR_MODEL_INVALID,
                         "the header claims %ju bytes, but the file has %ju", (uintmax_t)n,
                         (uintmax_t)file_size);
    *length = (size_t)n;
    return ERR_OK;
}

static int take_name(struct tensor_info *tensor, const char *name, struct error *err)
{
    size_t length = strlen(name);
    bool plain = length > 0 && length < sizeof tensor->name;
    for (size_t i = 0; plain && i < length; i++)
        plain = name[i] > 0x20 && name[i] < 0x7f;
    if (!plain)
        return error_set(err, ERR_MODEL_INVALID,
                         "a tensor's name is not 1 to %zu printable ASCII characters",
                         sizeof tensor->name - 1);
    memcpy(tensor->name, name, length + 1);
    return ERR_OK;
}

static int take_type(struct tensor_info *tensor, const json_t *value, struct error *err)
{
    const char *name = json_string_value(value);
    if (!name)
        return error_set(err, ERR_MODEL_INVALID, "tensor %s: dtype is not a string", tensor->name);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(name, types[i].name) == 0) {
            tensor->type = (enum tensor_type)i;
            return ERR_OK;
        }
    }
    return error_set(err, ERR_MODEL_UNSUPPORTED,
                     "tensor %s has type %.16s; F32, F16 and BF16 are served", tensor->name, name);
}

static bool take_size(const json_t *value, size_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (size_t)json_integer_value(value);
    return true;
}

static int take_shape(struct tensor_info *tensor, const json_t *value, struct error *err)
{
    if (!json_is_array(value) || json_array_size(value) > SAFETENSORS_MAX_RANK)
        return error_set(err, ERR_MODEL_INVALID,
                         "tensor %s: shape is not a list of at most %d numbers", tensor->name,
                         SAFETENSORS_MAX_RANK);
    tensor->rank = (int)json_array_size(value);
    tensor->elements = 1;
    bool fits = true;
    for (int i = 0; i < tensor->rank; i++) {
        if (!take_size(json_array_get(value, (size_t)i), &tensor->shape[i]))
            return error_set(err, ERR_MODEL_INVALID,
                             "tensor %s: dimension %d is not a non-negative integer", tensor->name,
                             i);
        fits = fits && size_mul(tensor->elements, tensor->shape[i], &tensor->elements);
    }
    if (!fits || !size_mul(tensor->elements, types[tensor->type].bytes, &tensor->bytes))
        return error_set(err, ERR_MODEL_INVALID, "tensor %s: its shape is too large", tensor->name);
    return ERR_OK;
}

static int take_offsets(struct tensor_info *tensor, const json_t *value, struct error *err)
{
    size_t end;
    if (json_array_size(value) != 2 || !take_size(json_array_get(value, 0), &tensor->begin) ||
        !take_size(json_array_get(value, 1), &end))
        return error_set(err, ERR_MODEL_INVALID,
                         "tensor %s: data_offsets are not two non-negative integers", tensor->name);
    if (end < tensor->begin || end - tensor->begin != tensor->bytes)
        return error_set(
            err, ERR_MODEL_INVALID,
            "tensor %s: data_offsets %zu to %zu do not hold the %zu bytes of its shape",
            tensor->name, tensor->begin, end, tensor->bytes);
    return ERR_OK;
}

static int take_tensor(struct tensor_info *tensor, const char *name, const json_t *value,
                       struct error *err)
{
    int code = take_name(tensor, name, err);
    if (code != ERR_OK)
        return code;
    if (json_object_size(value) != 3)
        return error_set(err, ERR_MODEL_INVALID,
                         "tensor %s: its entry is not dtype, shape and data_offsets", name);
    code = take_type(tensor, json_object_get(value, "dtype"), err);
    if (code == ERR_OK)
        code = take_shape(tensor, json_object_get(value, "shape"), err);
    if (code == ERR_OK)
        code = take_offsets(tensor, json_object_get(value, "data_offsets"), err);
    return code;
}

static int compare_place(const void *a, const void *b)
{
    const struct tensor_info *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static int compare_name(const void *a, const void *b)
{
    const struct tensor_info *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int check_places(struct tensor_table *table, uint64_t data_bytes, struct error *err)
{
    qsort(table->tensors, table->count, sizeof *table->tensors, compare_place);
    size_t at = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct tensor_info *t = &table->tensors[i];
        if (t->begin != at)
            return error_set(err, ERR_MODEL_INVALID, "tensor %s begins at byte %zu of the data, %s",
                             t->name, t->begin,
                             t->begin < at ? "inside another tensor" : "after a gap");
        at += t->bytes;
        if (at > data_bytes)
            return error_set(err, ERR_MODEL_INVALID,
                             "tensor %s ends at byte %zu of the data, but the file has only %ju "
                             "(is it complete?)",
                             t->name, at, (uintmax_t)data_bytes);
    }
    if (at != data_bytes)
        return error_set(err, ERR_MODEL_INVALID,
                         "the tensors end at byte %zu of the data, but the file has %ju", at,
                         (uintmax_t)data_bytes);
    return ERR_OK;
}

static int take_tensors(struct tensor_table *table, json_t *root, struct error *err)
{
    const char *name;
    json_t *value;
    size_t entries = json_object_size(root);
    if (entries > SAFETENSORS_MAX_TENSORS)
        return error_set(err, ERR_MODEL_INVALID, "%zu tensors; at most %d are read", entries,
                         SAFETENSORS_MAX_TENSORS);
    table->tensors = calloc(entries + 1, sizeof *table->tensors);
    if (!table->tensors)
        return error_set(err, ERR_NO_MEMORY, "no memory for the list of tensors");
    json_object_foreach(root, name, value)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        int code = take_tensor(&table->tensors[table->count], name, value, err);
        if (code != ERR_OK)
            return code;
        table->count++;
    }
    return ERR_OK;
}

int tensor_table_parse(struct tensor_table *out, const char *header, size_t length,
                       uint64_t file_size, struct error *err)
{
    json_t *root = NULL;
    *out = (struct tensor_table){.data_start = 8 + (uint64_t)length};
    if (length == 0 || header[0] != '{')
        return error_set(err, ERR_MODEL_INVALID, "the header does not begin with '{'");
    int code = strict_json_object(header, length, &root, err);
    if (code != ERR_OK)
        return error_prefix(err, code, "the header");
    code = take_tensors(out, root, err);
    json_decref(root);
    if (code == ERR_OK)
        code = check_places(out, file_size - out->data_start, err);
    if (code == ERR_OK)
        code = tensor_names_rename(out, err);
    if (code != ERR_OK)
        tensor_table_destroy(out);
    return code;
}

void tensor_table_sort(struct tensor_table *table)
{
    qsort(table->tensors, table->count, sizeof *table->tensors, compare_name);
}

void tensor_table_destroy(struct tensor_table *table)
{
    free(table->tensors);
    *table = (struct tensor_table){0};
}

const struct tensor_info *tensor_table_find(const struct tensor_table *table, const char *name)
{
    struct tensor_info key;
    if (strlen(name) >= sizeof key.name)
        return NULL;
    strcpy(key.name, name);
    return bsearch(&key, table->tensors, table->count, sizeof *table->tensors, compare_name);
}
