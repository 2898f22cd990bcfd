/* Cross-origin requests of web pages (the Fetch standard's CORS protocol), off unless cors_origin
 * is set. */
#ifndef RESNEXT_HTTP_CORS_H
#define RESNEXT_HTTP_CORS_H

#include "http/exchange.h"

/* Whether this is a preflight request that we answer. */
bool cors_is_preflight(const struct exchange *x);

/* Adds what lets the page of cors_origin read an answer; to a preflight also what it may send.
 * False without memory. */
bool cors_add_headers(const struct exchange *x, struct MHD_Response *response);

#endif
