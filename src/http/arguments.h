/* Query parameters. */
#ifndef RESNEXT_HTTP_ARGUMENTS_H
#define RESNEXT_HTTP_ARGUMENTS_H

#include <stddef.h>

#include "http/exchange.h"

/* One that an endpoint knows. `value` lives as long as the request: NULL if it was not given, ""
 * if it has a NUL in it, and then is neither a number nor a name. */
struct argument {
    const char *key, *value;
};

/* Fills in the values; what is not known is ignored. ERR_PARAMETER if one is given twice. */
int arguments_read(const struct exchange *x, struct argument *known, size_t count,
                   struct error *err);

enum { ARGUMENTS_COUNT_MAX = 1000000 };

/* A decimal number, digits only; -1 if it is none or above ARGUMENTS_COUNT_MAX. */
int arguments_count(const char *text);

#endif
