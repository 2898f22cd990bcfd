#include "http/json_pictures.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/jpeg_start.h"
#include "http/base64.h"
#include "http/json_text.h"
#include "http/query.h"

#define FORMS                                                                                      \
    "; send {\"instances\":[{\"b64\":\"...\"}, ...]} or {\"image\":{\"b64\":\"...\"}}, with each " \
    "JPEG in base64 or as a data: URL"

/* A key beside a picture is refused for what it is, not as a picture too many. */
enum { STRINGS_A_PICTURE = 2 };

/* A walk along the body, which copies all but the strings that are values. Each of these becomes
 * its index in `strings`, as a string: so all strings of the tree are such indices, and no client
 * can make one up. */
struct reader {
    char *at, *end;
    struct json_text out;
    int depth;
    struct slice *strings; /* [string_max], as they stand, without the quotes */
    size_t string_count, string_max, picture_max;
    struct json_pictures *pictures;
    struct error *err;
};

static int refuse(const struct reader *r, const char *what)
{
    return error_set(r->err, ERR_BAD_REQUEST, "%s" FORMS, what);
}

static int too_many(const struct reader *r)
{
    return error_set(r->err, ERR_TOO_MANY_PARTS,
                     "more than %zu pictures in a request (max_parts); send several requests",
                     r->picture_max);
}

/* --- the tree --- */

static int take_string(struct reader *r)
{
    char *begin = r->at, *end = json_text_string_end(r->at, r->end);
    if (!end)
        return refuse(r, "the JSON is cut off within a string");
    r->at = end;
    char *next = json_text_skip_space(end, r->end);
    if (next < r->end && *next == ':')
        return json_text_append(&r->out, begin, (size_t)(end - begin), r->err);
    if (r->string_count == r->string_max)
        return too_many(r);
    char index[24];
    int n = snprintf(index, sizeof index, "\"%zu\"", r->string_count);
    r->strings[r->string_count++] = (struct slice){begin + 1, (size_t)(end - begin) - 2};
    return json_text_append(&r->out, index, (size_t)n, r->err);
}

static int take_other(struct reader *r)
{
    char c = *r->at++;
    r->depth += (c == '{' || c == '[') - (c == '}' || c == ']');
    if (r->depth > JSON_TEXT_DEPTH)
        return json_text_refuse_depth(r->err);
    if (json_text_is_space(c))
        r->at = json_text_skip_space(r->at, r->end);
    return json_text_append(&r->out, &c, 1, r->err);
}

static int read_tree(struct reader *r, json_t **root)
{
    char *first = json_text_skip_space(r->at, r->end);
    if (first == r->end || *first != '{')
        return refuse(r, "the JSON is not an object");
    int code = ERR_OK;
    while (code == ERR_OK && r->at < r->end)
        code = *r->at == '"' ? take_string(r) : take_other(r);
    return code == ERR_OK ? json_text_parse(&r->out, root, r->err) : code;
}

/* The string that a value of the tree stands for; NULL if it is none. */
static const struct slice *string_of(const struct reader *r, const json_t *value)
{
    const char *index = json_string_value(value);
    return index ? &r->strings[strtoul(index, NULL, 10)] : NULL;
}

/* --- pictures --- */

/* Where base64 begins in a data: URL; `begin` if the string is none. NULL: of one without base64.
 */
static char *skip_data_url(char *begin, char *end)
{
    enum { HEAD_MAX = 256 };
    static const char scheme[] = "data:", mark[] = ";base64";
    const size_t scheme_length = sizeof scheme - 1, mark_length = sizeof mark - 1;
    size_t length = (size_t)(end - begin);
    if (length < scheme_length || strncasecmp(begin, scheme, scheme_length) != 0)
        return begin;
    char *comma = memchr(begin, ',', length < HEAD_MAX ? length : HEAD_MAX);
    bool has_mark = comma && (size_t)(comma - begin) >= scheme_length + mark_length &&
                    strncasecmp(comma - mark_length, mark, mark_length) == 0;
    return has_mark ? comma + 1 : NULL;
}

static int decode_string(const struct reader *r, const struct slice *string, struct slice *out)
{
    char *begin = (char *)string->bytes, *end = begin + string->length;
    char *at = skip_data_url(begin, end);
    if (!at)
        return error_set(r->err, ERR_BAD_REQUEST,
                         "the data: URL is not in base64; send data:image/jpeg;base64,...");
    out->bytes = at;
    return base64_decode(&at, end, &out->length, r->err);
}

/* The one member of an object that holds a picture. */
static const json_t *only_member(const struct reader *r, const json_t *object,
                                 const char *const *names)
{
    void *first = json_object_iter((json_t *)object);
    const char *key = first ? json_object_iter_key(first) : NULL;
    if (json_object_size(object) != 1) {
        refuse(r, "the object that holds a picture does not have exactly one member");
        return NULL;
    }
    for (; *names; names++)
        if (strcmp(key, *names) == 0)
            return json_object_iter_value(first);
    error_set(r->err, ERR_BAD_REQUEST, "no picture is expected in \"%.40s\"" FORMS, key);
    return NULL;
}

static int add_picture(struct reader *r, const json_t *value)
{
    static const char *const names[] = {"b64", NULL};
    struct json_pictures *p = r->pictures;
    if (json_is_object(value)) {
        value = only_member(r, value, names);
        if (!value)
            return ERR_BAD_REQUEST;
    }
    const struct slice *string = string_of(r, value);
    if (!string)
        return refuse(r, "the picture is not a string");
    return decode_string(r, string, &p->slices[p->count++]);
}

static int add_instance(struct reader *r, const json_t *value)
{
    static const char *const names[] = {"image_bytes", "image", "data", "content", NULL};
    if (json_is_object(value) && !json_object_get(value, "b64")) {
        value = only_member(r, value, names);
        if (!value)
            return ERR_BAD_REQUEST;
    }
    return add_picture(r, value);
}

static int add_instances(struct reader *r, const json_t *list)
{
    size_t count = json_array_size(list);
    if (count == 0)
        return refuse(r, "instances is not a list of at least one picture");
    if (count > r->picture_max)
        return too_many(r);
    r->pictures->is_list = true;
    for (size_t i = 0; i < count; i++) {
        int code = add_instance(r, json_array_get(list, i));
        if (code != ERR_OK)
            return error_prefix(r->err, code, "instance %zu", i);
    }
    return ERR_OK;
}

/* --- the rest --- */

static int read_parameters(const struct reader *r, json_t *parameters)
{
    const char *key;
    json_t *value;
    if (!json_is_null(parameters) && !json_is_object(parameters))
        return error_set(r->err, ERR_PARAMETER,
                         "parameters must be an object, such as {\"top_k\":5}");
    json_object_foreach(parameters, key, value)
    {
        json_int_t top_k = json_integer_value(value);
        if (strcmp(key, "top_k") != 0)
            return error_set(r->err, ERR_PARAMETER,
                             "unknown parameter \"%.60s\"; known here: top_k", key);
        if (!json_is_integer(value) || top_k < 1 || top_k > QUERY_COUNT_MAX)
            return query_refuse_top_k(r->err);
        r->pictures->top_k = (int)top_k;
    }
    return ERR_OK;
}

/* There is one signature, by whatever name clients call the default one. */
static int check_signature(const struct reader *r, const json_t *value)
{
    static const char name[] = "serving_default";
    const struct slice *s = string_of(r, value);
    bool is_default = s && s->length == sizeof name - 1 && memcmp(s->bytes, name, s->length) == 0;
    return is_default || json_is_null(value)
               ? ERR_OK
               : error_set(r->err, ERR_BAD_REQUEST, "the only signature_name is %s", name);
}

static int read_member(struct reader *r, const char *key, json_t *value)
{
    if (strcmp(key, "instances") == 0)
        return add_instances(r, value);
    if (strcmp(key, "image") == 0)
        return error_prefix(r->err, add_picture(r, value), "image");
    if (strcmp(key, "parameters") == 0)
        return read_parameters(r, value);
    if (strcmp(key, "signature_name") == 0)
        return check_signature(r, value);
    return error_set(r->err, ERR_BAD_REQUEST, "the JSON has the unknown key \"%.40s\"" FORMS, key);
}

static int read_members(struct reader *r, json_t *root)
{
    const char *key;
    json_t *value;
    if (!json_object_get(root, "instances") == !json_object_get(root, "image"))
        return refuse(r, "the JSON needs either instances or image");
    json_object_foreach(root, key, value)
    {
        int code = read_member(r, key, value);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

static int read_all(struct reader *r)
{
    json_t *root = NULL;
    if (!r->out.bytes || !r->strings || !r->pictures->slices)
        return error_set(r->err, ERR_NO_MEMORY, "no memory for the request; try again later");
    int code = read_tree(r, &root);
    if (code == ERR_OK)
        code = read_members(r, root);
    json_decref(root);
    return code;
}

int json_pictures_read(char *body, size_t length, size_t max, struct json_pictures *pictures,
                       struct error *err)
{
    *pictures = (struct json_pictures){.slices = calloc(max, sizeof *pictures->slices)};
    struct reader r = {
        .at = body, .end = body + length, .picture_max = max, .pictures = pictures, .err = err};
    r.string_max = STRINGS_A_PICTURE * max + 1; /* and signature_name */
    r.strings = calloc(r.string_max, sizeof *r.strings);
    r.out = (struct json_text){.bytes = malloc(JSON_TEXT_MAX), .cut = "pictures"};
    int code = read_all(&r);
    free(r.out.bytes);
    free(r.strings);
    if (code != ERR_OK) {
        free(pictures->slices);
        pictures->slices = NULL;
    }
    return code;
}

size_t json_pictures_estimate(char *body, size_t length, size_t max)
{
    char *at = body, *end = body + length;
    size_t count = 0;
    while (count < max && (at = memchr(at, '"', (size_t)(end - at)))) {
        char *quote = memchr(at + 1, '"', (size_t)(end - at - 1));
        if (!quote)
            break;
        at = json_text_skip_space(quote + 1, end);
        count += at == end || *at != ':';
    }
    return count;
}

static bool is_json_type(const char *type)
{
    static const char json[] = "application/json";
    return type && strncasecmp(type, json, sizeof json - 1) == 0 &&
           strchr("; \t", type[sizeof json - 1]);
}

bool json_pictures_is_json(const char *content_type, const void *body, size_t length)
{
    const char *at = json_text_skip_space((char *)body, (const char *)body + length);
    return (at < (const char *)body + length && *at == '{') ||
           (is_json_type(content_type) && !starts_as_jpeg(body, length));
}
