#include "http/json_text.h"

#include <string.h>

int json_text_append(struct json_text *text, const char *bytes, size_t length, struct error *err)
{
    if (length > JSON_TEXT_MAX - text->length)
        return error_set(err, ERR_BAD_REQUEST,
                         "the JSON is longer than %d bytes without its %s; leave out what is not "
                         "needed",
                         JSON_TEXT_MAX, text->cut);
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    return ERR_OK;
}

int json_text_refuse_depth(struct error *err)
{
    return error_set(err, ERR_BAD_REQUEST, "the JSON is nested deeper than %d levels",
                     JSON_TEXT_DEPTH);
}

int json_text_parse(const struct json_text *text, json_t **root, struct error *err)
{
    json_error_t why;
    *root = json_loadb(text->bytes, text->length, JSON_REJECT_DUPLICATES, &why);
    if (!*root && json_error_code(&why) == json_error_out_of_memory)
        return error_set(err, ERR_NO_MEMORY, "no memory for JSON; try again later");
    if (!*root)
        return error_set(err, ERR_BAD_REQUEST, "the request is not valid JSON: %s", why.text);
    if (json_is_object(*root))
        return ERR_OK;
    json_decref(*root);
    *root = NULL;
    return error_set(err, ERR_BAD_REQUEST, "the JSON is not an object, which begins with {");
}

char *json_text_string_end(char *at, char *end)
{
    for (at++; at < end; at++) {
        if (*at == '"')
            return at + 1;
        if (*at == '\\' && ++at == end)
            return NULL;
    }
    return NULL;
}
