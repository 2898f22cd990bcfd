#include "http/oip/tensor_json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/json_text.h"

/* A walk along the text, which copies all but the data arrays. */
struct cut {
    char *at, *end;
    int depth;
    uint32_t objects; /* bit d: the bracket at depth d + 1 is an object's */
    struct json_text out;
    struct tensor_json_data *data;
    size_t count;
    struct error *err;
};

static int cut_failed(struct cut *c, const char *what)
{
    return error_set(c->err, ERR_BAD_REQUEST, "the JSON %s", what);
}

/* Behind the array that starts at `at`; NULL if it does not end or is too deep. */
static char *array_end(char *at, char *end, int depth)
{
    int open = 0;
    while (at < end) {
        if (*at == '"') {
            at = json_text_string_end(at, end);
            if (!at)
                return NULL;
            continue;
        }
        open += (*at == '[' || *at == '{') - (*at == ']' || *at == '}');
        at++;
        if (open == 0)
            return at;
        if (depth + open > JSON_TEXT_DEPTH)
            return NULL;
    }
    return NULL;
}

/* Whether the walk is in an object in an array in the object at the top. */
static bool is_in_tensor(const struct cut *c)
{
    return c->depth == 3 && (c->objects & 7) == 5;
}

static int cut_data(struct cut *c)
{
    c->at = json_text_skip_space(c->at, c->end);
    if (c->end - c->at >= 4 && memcmp(c->at, "null", 4) == 0)
        return ERR_OK; /* left where it is */
    if (c->at == c->end || *c->at != '[')
        return cut_failed(c, "has data that is not an array");
    if (c->count == TENSOR_JSON_DATA_MAX)
        return cut_failed(c, "has too many data arrays");
    char *end = array_end(c->at, c->end, c->depth);
    if (!end)
        return cut_failed(c, "has a data array that does not end or is nested too deeply");
    char index = (char)('0' + c->count);
    c->data[c->count++] = (struct tensor_json_data){c->at, (size_t)(end - c->at)};
    c->at = end;
    return json_text_append(&c->out, &index, 1, c->err);
}

static int take_string(struct cut *c)
{
    char *begin = c->at, *end = json_text_string_end(c->at, c->end);
    if (!end)
        return cut_failed(c, "is cut off within a string");
    c->at = end;
    int code = json_text_append(&c->out, begin, (size_t)(end - begin), c->err);
    char *next = json_text_skip_space(end, c->end);
    bool is_key = next < c->end && *next == ':';
    if (code != ERR_OK || !is_key || !is_in_tensor(c))
        return code;
    /* A name that only becomes "data" when it is decoded would go past this. */
    if (memchr(begin, '\\', (size_t)(end - begin)))
        return cut_failed(c, "has an escape in a tensor's key; write it plainly");
    c->at = next + 1;
    code = json_text_append(&c->out, ":", 1, c->err);
    bool is_data = end - begin == 6 && memcmp(begin, "\"data\"", 6) == 0;
    return code == ERR_OK && is_data ? cut_data(c) : code;
}

static int take_bracket(struct cut *c)
{
    char bracket = *c->at++;
    if (bracket == '{' || bracket == '[') {
        if (c->depth == JSON_TEXT_DEPTH)
            return json_text_refuse_depth(c->err);
        uint32_t bit = UINT32_C(1) << c->depth++;
        c->objects = bracket == '{' ? c->objects | bit : c->objects & ~bit;
    } else if (c->depth-- == 0) {
        return cut_failed(c, "closes a bracket that was not opened");
    }
    return json_text_append(&c->out, &bracket, 1, c->err);
}

static int cut_all(struct cut *c)
{
    int code = ERR_OK;
    while (code == ERR_OK && c->at < c->end) {
        char here = *c->at;
        if (here == '"') {
            code = take_string(c);
        } else if (here == '{' || here == '[' || here == '}' || here == ']') {
            code = take_bracket(c);
        } else if (json_text_is_space(here)) {
            c->at = json_text_skip_space(c->at, c->end);
            code = json_text_append(&c->out, " ", 1, c->err);
        } else {
            code = json_text_append(&c->out, c->at++, 1, c->err);
        }
    }
    return code;
}

int tensor_json_read(char *bytes, size_t length, json_t **root,
                     struct tensor_json_data data[TENSOR_JSON_DATA_MAX], size_t *count,
                     struct error *err)
{
    struct cut c = {.at = bytes, .end = bytes + length, .data = data, .err = err};
    c.out = (struct json_text){.bytes = malloc(JSON_TEXT_MAX), .cut = "data"};
    if (!c.out.bytes)
        return error_set(err, ERR_NO_MEMORY, "no memory for JSON; try again later");
    int code = cut_all(&c);
    if (code == ERR_OK)
        code = json_text_parse(&c.out, root, err);
    free(c.out.bytes);
    *count = c.count;
    return code;
}
