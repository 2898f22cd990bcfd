#include "model/strict_json.h"

static bool too_deep(const char *bytes, size_t length)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        char c = bytes[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            depth++;
        else if (!in_string && (c == '}' || c == ']') && depth > 0)
            depth--;
        if (depth > STRICT_JSON_DEPTH)
            return true;
    }
    return false;
}

int strict_json_object(const char *bytes, size_t length, json_t **object, struct error *err)
{
    json_error_t error;
    if (too_deep(bytes, length))
        return error_set(err, ERR_MODEL_INVALID, "JSON nested deeper than %d levels",
                         STRICT_JSON_DEPTH);
    json_t *root = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &error);
    if (!root && json_error_code(&error) == json_error_out_of_memory)
        return error_set(err, ERR_NO_MEMORY, "no memory for JSON");
    if (!root)
        return error_set(err, ERR_MODEL_INVALID, "not valid JSON: line %d: %s", error.line,
                         error.text);
    if (!json_is_object(root)) {
        json_decref(root);
        return error_set(err, ERR_MODEL_INVALID, "not a JSON object");
    }
    *object = root;
    return ERR_OK;
}

bool json_is_said(const json_t *value)
{
    return value && !json_is_null(value);
}

bool json_is_same(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_number_value(a) == json_number_value(b);
    if (!json_is_array(a) || !json_is_array(b))
        return json_equal(a, b);
    bool same = json_array_size(a) == json_array_size(b);
    for (size_t i = 0; same && i < json_array_size(a); i++)
        same = json_is_same(json_array_get(a, i), json_array_get(b, i));
    return same;
}
