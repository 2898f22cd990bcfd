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

struct reply_header {
    const char *name, *value;
};

/* The same with bytes that live as long as the program, and headers of its own, ended by NULL. */
enum MHD_Result reply_constant(struct exchange *x, int status, const char *content_type,
                               const unsigned char *bytes, size_t length,
                               const struct reply_header *headers);

/* The same with an answer that is ended: its status, its type, and the length of its JSON. */
enum MHD_Result reply_answer(struct exchange *x, struct answer *answer);

/* {"error":{...},"request_id":...}, or what the inference protocol wants under its paths, with the
 * status of err->code; 401 gets its WWW-Authenticate, 405 its Allow, 503 a Retry-After. */
enum MHD_Result reply_error(struct exchange *x, const struct error *err);

/* Turns a request away: counts that, if errors.def has a reason for it and the connection was not
 * cut for its time, and so counted, before; the upload that then stops is not counted for that.
 * Answers now, or (`later`) leaves the error in x->refusal. */
enum MHD_Result reply_refusal(struct exchange *x, const struct error *err, bool later);

/* The refusal of a request whose outcome is an error. */
enum MHD_Result reply_unfinished(struct exchange *x, int outcome);

/* 204, without a body. */
enum MHD_Result reply_nothing(struct exchange *x);

/* Appends `item` to `list`, takes over both and returns the list: NULL without memory, which either
 * may be already. */
json_t *reply_append(json_t *list, json_t *item);

/* A list of the models' names; NULL without memory. */
json_t *reply_model_names(const struct generation *generation);

#endif
