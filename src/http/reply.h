/* Answers. Every one carries X-Request-Id, and Connection: close while the server drains. */
#ifndef RESNEXT_HTTP_REPLY_H
#define RESNEXT_HTTP_REPLY_H

#include <jansson.h>
#include <stddef.h>

#include "http/exchange.h"

/* Queue the answer and move the exchange to ANSWERED. The result is for libmicrohttpd. Each takes
 * over the body, which may be NULL: that stands for a lack of memory and is answered so. The text
 * of reply_text is from malloc. */
enum MHD_Result reply_json(struct exchange *x, int status, json_t *body);
enum MHD_Result reply_text(struct exchange *x, int status, const char *content_type, char *text,
                           size_t length);

struct reply_header {
    const char *name, *value;
};

/* The same with bytes that live as long as the program, and extra headers, ended by NULL. */
enum MHD_Result reply_constant(struct exchange *x, int status, const char *content_type,
                               const unsigned char *bytes, size_t length,
                               const struct reply_header *headers);

/* The same with an ended answer: its status, its type, and the length of its JSON. */
enum MHD_Result reply_answer(struct exchange *x, struct answer *answer);

/* {"error":{...},"request_id":...}, or the form of the inference protocol under its paths, with the
 * status of err->code. 401 gets a WWW-Authenticate, 405 an Allow, 503 a Retry-After. */
enum MHD_Result reply_error(struct exchange *x, const struct error *err);

/* Refuses a request. Counts the refusal if errors.def has a reason for it, unless the monitor has
 * cut the connection for its timeout and so counted it already; a timeout of the rest of the upload
 * is not counted then. Answers now, or with `later` leaves the error in x->refusal. */
enum MHD_Result reply_refusal(struct exchange *x, const struct error *err, bool later);

/* The refusal of a request whose outcome is an error. */
enum MHD_Result reply_unfinished(struct exchange *x, int outcome);

/* 204, without a body. */
enum MHD_Result reply_nothing(struct exchange *x);

/* Appends `item` to `list`, takes over both and returns the list. Either may be NULL, which stands
 * for a lack of memory; so does the result NULL. */
json_t *reply_append(json_t *list, json_t *item);

/* A list of the models' names; NULL without memory. */
json_t *reply_model_names(const struct generation *generation);

#endif
