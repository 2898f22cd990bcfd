/* Walks along JSON in memory, for what is too large for a tree. Pure functions; any thread. */
#ifndef RESNEXT_HTTP_JSON_TEXT_H
#define RESNEXT_HTTP_JSON_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum {
    JSON_TEXT_MAX = 65536, /* bytes of what is left for a tree */
    JSON_TEXT_DEPTH = 16,  /* of its brackets */
};

/* What is left for a tree while the large values are cut out. */
struct json_text {
    char *bytes; /* [JSON_TEXT_MAX], the caller's */
    size_t length;
    const char *cut; /* what the large values are, for messages */
};

/* Appends bytes that are not cut out. ERR_BAD_REQUEST if they do not fit. */
int json_text_append(struct json_text *text, const char *bytes, size_t length, struct error *err);

/* ERR_BAD_REQUEST for brackets deeper than JSON_TEXT_DEPTH. */
int json_text_refuse_depth(struct error *err);

/* Reads a JSON object. `*root` belongs to the caller (json_decref); it is NULL after an error.
 * ERR_BAD_REQUEST: not JSON, no object, a duplicate key; ERR_NO_MEMORY. */
int json_text_parse(const struct json_text *text, json_t **root, struct error *err);

/* Behind the string whose opening quote is at `at`; NULL if it does not end. */
char *json_text_string_end(char *at, char *end);

/* These are inline since they are called for each number. */
static inline bool json_text_is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* The first character at or after `at` that is not white space, or `end`. */
static inline char *json_text_skip_space(char *at, const char *end)
{
    while (at < end && json_text_is_space(*at))
        at++;
    return at;
}

/* Moves *at past white space and the character `c`; false if something else follows. */
static inline bool json_text_take(char **at, const char *end, char c)
{
    *at = json_text_skip_space(*at, end);
    bool is_there = *at < end && **at == c;
    *at += is_there;
    return is_there;
}

#endif
