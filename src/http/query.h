/* Query parameters. */
#ifndef RESNEXT_HTTP_QUERY_H
#define RESNEXT_HTTP_QUERY_H

#include <stddef.h>

#include "http/exchange.h"

/* A parameter that an endpoint knows. `value` lives as long as the exchange: NULL if it was not
 * given, "" if it contains a NUL, and so is neither a number nor a name. */
struct query_parameter {
    const char *name, *value;
};

/* Fills in the values. ERR_PARAMETER if one is not known or given twice. */
int query_read(const struct exchange *x, struct query_parameter *known, size_t count,
               struct error *err);

enum { QUERY_COUNT_MAX = 1000000 };

/* A decimal number, digits only; -1 if it is not one or is above QUERY_COUNT_MAX. */
int query_count(const char *text);

/* ERR_PARAMETER, says what top_k is. */
int query_refuse_top_k(struct error *err);

#endif
