#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

static const struct {
    int status;
    const char *code, *reason, *text;
} table[ERR_COUNT] = {
#define E(name, status, code, reason, text) {status, code, reason, text},
#include "base/errors.def"
};

enum { CONTEXT_MAX = 200 };

static int index_of(int code)
{
    CHECK(code < 0 && -1 - code < ERR_COUNT);
    return -1 - code;
}

static void replace_control_characters(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

int error_set(struct error *err, enum error_code code, const char *format, ...)
{
    if (!err)
        return code;
    err->code = code;
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    replace_control_characters(err->message);
    return code;
}

/* The last CONTEXT_MAX bytes, from the beginning of a character: the end of a path tells most. */
static const char *tail_of(const char *text)
{
    size_t length = strlen(text);
    if (length > CONTEXT_MAX)
        text += length - CONTEXT_MAX;
    while (length > CONTEXT_MAX && ((unsigned char)*text & 0xc0) == 0x80)
        text++;
    return text;
}

int error_prefix(struct error *err, int code, const char *format, ...)
{
    if (!err || code == ERR_OK)
        return code;
    char context[sizeof err->message], old[sizeof err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(context, sizeof context, format, args);
    va_end(args);
    memcpy(old, err->message, sizeof old);
    const char *tail = tail_of(context);
    return error_set(err, err->code, "%s%s: %s", tail > context ? "..." : "", tail, old);
}

const char *error_text(int code)
{
    return table[index_of(code)].text;
}

int error_status(int code)
{
    return table[index_of(code)].status;
}

const char *error_json_code(int code)
{
    return table[index_of(code)].code;
}

const char *error_reason(int code)
{
    return table[index_of(code)].reason;
}
