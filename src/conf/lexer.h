/* Input that libconfig reads differently from what is written. */
#ifndef RESNEXT_CONF_LEXER_H
#define RESNEXT_CONF_LEXER_H

#include <stddef.h>

#include "base/error.h"

/* Checks `text`, `length` bytes and a NUL, before libconfig reads it. ERR_CONFIG (the message
 * begins with `name` and the line): a NUL byte, an @include, a string or a comment without an end.
 * libconfig 1.5 drops the upper bits of an integer that has more than 32 bits and no L. Such an
 * integer is replaced by 2147483647, which exceeds the maximum of every option. */
int conf_check_tokens(const char *name, char *text, size_t length, struct error *err);

#endif
