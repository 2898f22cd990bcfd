/* An error is a negative code from errors.def, and a message for the person who must act on it. */
#ifndef RESNEXT_BASE_ERROR_H
#define RESNEXT_BASE_ERROR_H

enum error_index {
#define E(name, status, code, reason, text) ERR_INDEX_##name,
#include "base/errors.def"
    ERR_COUNT
};

/* Results of functions that can fail: ERR_OK, or one of the others, which are negative. */
enum error_code {
    ERR_OK = 0,
#define E(name, status, code, reason, text) ERR_##name = -1 - ERR_INDEX_##name,
#include "base/errors.def"
};

/* `message` says what is wrong and, where possible, what to change. It never contains control
 * characters. A function with a `struct error *` parameter fills it if and only if it returns a
 * negative code. The caller may pass NULL if it needs only the code. */
struct error {
    enum error_code code;
    char message[480];
};

/* Fills `err` (if not NULL) and returns `code`, so that a function can `return error_set(...)`. */
int error_set(struct error *err, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the message of `err` (if not NULL), unless `code` is ERR_OK. Returns
 * `code`. */
int error_prefix(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The columns of errors.def for a code. error_reason is NULL for an error that is not counted. */
const char *error_text(int code);
int error_status(int code);
const char *error_json_code(int code);
const char *error_reason(int code);

#endif
