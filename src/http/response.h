/* libmicrohttpd's responses, made so that it is known how much of a body went out. */
#ifndef RESNEXT_HTTP_RESPONSE_H
#define RESNEXT_HTTP_RESPONSE_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

#include "serve/answer.h"

struct exchange;

/* A response with `length` bytes of body, to be queued for this exchange. `owned`, whose bytes they
 * are, or NULL, is taken over and freed with the response, and at once on failure: NULL without
 * memory. While the body goes out x->sent follows it, up to a block behind. */
struct MHD_Response *response_create(struct exchange *x, const void *bytes, size_t length,
                                     struct answer *owned);

/* Adds a header unless `value` is NULL. False without memory. */
bool response_add(struct MHD_Response *response, const char *name, const char *value);

#endif
