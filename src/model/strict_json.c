#include "model/strict_json.h"

/* A tree may take TREE_BYTES plus TREE_TIMES the size of its text. That is enough for the names of
 * 2^17 classes, by id and by name. */
enum { TREE_BYTES = 64 << 20, TREE_TIMES = 2 };

/* Upper bounds of jansson's memory, in malloc's blocks, for a value, and for its place in an array
 * (a comma) or an object (a colon) while a full table is copied to a larger one. */
enum { OBJECT = 224, ARRAY = 128, STRING = 80, NUMBER = 32, ELEMENT = 24, MEMBER = 48 };

/* A walk along the text. */
struct walk {
    size_t depth, tree; /* levels, and bytes that the values so far would take */
    bool in_string, in_word;
};

static void take_token(struct walk *w, char c)
{
    bool in_word = w->in_word;
    w->in_word = false;
    switch (c) {
    case '{':
    case '[':
        w->depth++;
        w->tree += c == '{' ? OBJECT : ARRAY;
        break;
    case '}':
    case ']':
        w->depth -= w->depth > 0;
        break;
    case '"':
        w->in_string = true;
        w->tree += STRING;
        break;
    case ',':
    case ':':
        w->tree += c == ',' ? ELEMENT : MEMBER;
        break;
    case ' ':
    case '\n':
    case '\r':
    case '\t':
        break;
    default: /* of a number, or of a literal, which takes less */
        w->tree += in_word ? 0 : NUMBER;
        w->in_word = true;
    }
}

/* Takes the rest of a string, which may be long, from bytes[i] on. Returns where its last byte is.
 */
static size_t take_string(struct walk *w, const char *bytes, size_t i, size_t length)
{
    size_t begin = i;
    while (i < length && bytes[i] != '"')
        i += bytes[i] == '\\' ? 2 : 1;
    w->in_string = false;
    w->tree += i - begin + 1;
    return i;
}

/* Refuses a text whose tree would be too deep or too large, before the tree is made. */
static int check_cost(const char *bytes, size_t length, struct error *err)
{
    struct walk w = {0};
    const size_t max = TREE_BYTES + TREE_TIMES * length;
    for (size_t i = 0; i < length && w.tree <= max && w.depth <= STRICT_JSON_DEPTH; i++) {
        if (w.in_string)
            i = take_string(&w, bytes, i, length);
        else
            take_token(&w, bytes[i]);
    }
    if (w.depth > STRICT_JSON_DEPTH)
        return error_set(err, ERR_MODEL_INVALID, "JSON nested deeper than %d levels",
                         STRICT_JSON_DEPTH);
    if (w.tree > max)
        return error_set(err, ERR_MODEL_INVALID,
                         "%zu bytes of JSON with so many values that they would take more than "
                         "%zu MiB of memory",
                         length, max >> 20);
    return ERR_OK;
}

int strict_json_object(const char *bytes, size_t length, json_t **object, struct error *err)
{
    json_error_t error;
    int code = check_cost(bytes, length, err);
    if (code != ERR_OK)
        return code;
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
