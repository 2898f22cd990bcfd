/* Errors: one negative code from errors.def, and a message for the person who has to act on it. */
#ifndef RESNEXT_BASE_ERROR_H
#define RESNEXT_BASE_ERROR_H

enum error_index {
#define E(name, status, code, reason, text) ERR_INDEX_##name,
#include "base/errors.def"
    ERR_COUNT
};

/* Results of functions that can fail: 0 or one of these, all negative. */
enum error_code {
    ERR_OK = 0,
#define E(name, status, code, reason, text) ERR_##name = -1 - ERR_INDEX_##name,
#include "base/errors.def"
};

/* What went wrong. `message` says what is wrong and, where possible, what to change; it never
 * contains control characters. A function that takes a `struct error *` fills it exactly when it
 * returns a negative code; NULL is allowed and means that the caller only wants the code. */
struct error {
    enum error_code code;
    char message[480];
};

/* Fills `err` (if not NULL) and returns `code`, so that `return error_set(...)` reads well. */
int error_set(struct error *err, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the message of a filled `err`, unless `code` is ERR_OK; returns `code`.
 */
int error_prefix(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The columns of errors.def for a code. error_reason is NULL for errors that are not counted. */
const char *error_text(int code);
int error_status(int code);
const char *error_json_code(int code);
const char *error_reason(int code);

#endif
