/* libmicrohttpd's responses, made so that we know how much of a body was sent. */
#ifndef RESNEXT_HTTP_RESPONSE_H
#define RESNEXT_HTTP_RESPONSE_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#include "serve/answer.h"

struct exchange;

/* A response with `length` bytes of body, to be queued for this exchange. `owned`, the answer that
 * has these bytes, or NULL, is taken over: it is freed with the response, or at once on failure.
 * NULL without memory. While the body is sent x->sent follows it, up to one block behind. */
struct MHD_Response *response_create(struct exchange *x, const void *bytes, size_t length,
                                     struct answer *owned);

/* Adds a header unless `value` is NULL. False without memory. */
bool response_add(struct MHD_Response *response, const char *name, const char *value);

#endif
