/* Cross-origin requests of web pages (the Fetch standard's CORS protocol), off unless cors_origin
 * is set. */
#ifndef RESNEXT_HTTP_CORS_H
#define RESNEXT_HTTP_CORS_H

#include "http/exchange.h"

/* The longest list of headers that a page may ask to send, in bytes. */
enum { CORS_HEADERS_MAX = 1024 };

/* Whether this is a preflight request that we answer. */
bool cors_is_preflight(const struct exchange *x);

/* Whether this is a list of header names as Access-Control-Request-Headers has it: tokens (RFC
 * 9110) with commas between, of at most CORS_HEADERS_MAX bytes. It is safe as a header then. */
bool cors_is_header_list(const char *text);

/* Adds the headers that let the page of cors_origin read an answer. To a preflight also what the
 * page may send, which is whatever it asks for. False without memory. */
bool cors_add_headers(const struct exchange *x, struct MHD_Response *response);

#endif
