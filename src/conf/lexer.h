/* What libconfig reads otherwise than it is written. */
#ifndef RESNEXT_CONF_LEXER_H
#define RESNEXT_CONF_LEXER_H

#include <stddef.h>

#include "base/error.h"

/* Checks `text`, `length` bytes with a NUL behind them, before libconfig reads it. ERR_CONFIG (the
 * message begins with `name` and the line): a NUL byte, an @include, a string or a comment without
 * an end. libconfig 1.5 drops the upper bits of an integer that has more than 32 and no L: such a
 * one becomes 2147483647, which is more than any option may be. */
int conf_check_tokens(const char *name, char *text, size_t length, struct error *err);

#endif
