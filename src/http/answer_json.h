/* JSON in an answer, as jansson writes it with JSON_COMPACT and
 * JSON_REAL_PRECISION(ANSWER_JSON_DIGITS), but without a tree: brackets, commas and keys are the
 * caller's. */
#ifndef RESNEXT_HTTP_ANSWER_JSON_H
#define RESNEXT_HTTP_ANSWER_JSON_H

#include "serve/answer.h"

/* Significant digits of every real number in JSON: enough to read a float32 back exactly. */
enum { ANSWER_JSON_DIGITS = 9 };

/* A string from any bytes; bytes that are not UTF-8 become '?'. */
void answer_json_string(struct answer *answer, const char *bytes, size_t length);

/* The same of a NUL-terminated text. */
void answer_json_text(struct answer *answer, const char *text);

/* The inside of a string, without the quotes. */
void answer_json_characters(struct answer *answer, const char *bytes, size_t length);

/* A finite number in ANSWER_JSON_DIGITS digits, with a point or an exponent. */
void answer_json_real(struct answer *answer, double value);

/* An array of such numbers. */
void answer_json_reals(struct answer *answer, const float *values, size_t count);

/* {"code":...,"message":...,"status":...} */
void answer_json_error(struct answer *answer, const struct error *error);

#endif
