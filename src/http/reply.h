/* Answers. Every one carries X-Request-Id, and Connection: close while the server drains. */
#ifndef RESNEXT_HTTP_REPLY_H
#define RESNEXT_HTTP_REPLY_H

#include <jansson.h>
#include <stddef.h>

#include "http/exchange.h"

/* Queues the answer and moves the exchange to ANSWERED. The result is for libmicrohttpd. Each takes
 * over the body it is given, also if it is NULL, which stands for a lack of memory and is answered
 * as such; reply_text's is from malloc. */
enum MHD_Result reply_json(struct exchange *x, int status, json_t *body);
enum MHD_Result reply_text(struct exchange *x, int status, const char *content_type, char *text,
                           size_t length);

/* {"error":{...},"request_id":...} with the status of err->code; 405 gets its Allow, 503 a
 * Retry-After. */
enum MHD_Result reply_error(struct exchange *x, const struct error *err);

/* {"code":...,"message":...,"status":...}; NULL without memory. */
json_t *reply_error_object(const struct error *err);

/* A JSON string of bytes that may be anything: what is not UTF-8 becomes '?'. NULL without
 * memory. */
json_t *reply_string(struct slice text);

#endif
