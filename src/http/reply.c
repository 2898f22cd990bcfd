#include "http/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/router.h"

enum { REAL_DIGITS = 9 };

static bool add_headers(struct exchange *x, struct MHD_Response *response, int status,
                        const char *content_type)
{
    char allow[ROUTER_ALLOW_MAX];
    bool ok = MHD_add_response_header(response, "Content-Type", content_type) == MHD_YES &&
              MHD_add_response_header(response, "X-Request-Id", x->id) == MHD_YES;
    if (ok && server_draining(x->context->server))
        ok = MHD_add_response_header(response, "Connection", "close") == MHD_YES;
    if (ok && status == 503)
        ok = MHD_add_response_header(response, "Retry-After", "1") == MHD_YES;
    if (ok && status == 405) {
        router_allow(x->path, allow);
        ok = MHD_add_response_header(response, "Allow", allow) == MHD_YES;
    }
    return ok;
}

/* Queues a response and gives it up. */
static enum MHD_Result queue(struct exchange *x, int status, const char *content_type,
                             struct MHD_Response *response, size_t length)
{
    if (!response)
        return MHD_NO;
    enum MHD_Result result = MHD_NO;
    if (add_headers(x, response, status, content_type))
        result = MHD_queue_response(x->connection, (unsigned)status, response);
    MHD_destroy_response(response);
    if (result != MHD_YES)
        return MHD_NO;
    /* An answer to the headers alone leaves the body unread. */
    peer_replying(x->peer, x->phase == EXCHANGE_HEADERS && x->has_body);
    x->phase = EXCHANGE_ANSWERED;
    x->status = status;
    x->sent = strcmp(x->method, "HEAD") == 0 ? 0 : length;
    return MHD_YES;
}

static enum MHD_Result reply_out_of_memory(struct exchange *x)
{
    char text[320];
    int n = snprintf(text, sizeof text,
                     "{\"error\":{\"code\":\"%s\",\"message\":\"%s; try again later\","
                     "\"status\":%d},\"request_id\":\"%s\"}",
                     error_json_code(ERR_NO_MEMORY), error_text(ERR_NO_MEMORY),
                     error_status(ERR_NO_MEMORY), x->id);
    return queue(x, error_status(ERR_NO_MEMORY), "application/json",
                 MHD_create_response_from_buffer((size_t)n, text, MHD_RESPMEM_MUST_COPY),
                 (size_t)n);
}

enum MHD_Result reply_text(struct exchange *x, int status, const char *content_type, char *text,
                           size_t length)
{
    if (!text)
        return reply_out_of_memory(x);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(length, text, MHD_RESPMEM_MUST_FREE);
    if (!response)
        free(text);
    return queue(x, status, content_type, response, length);
}

enum MHD_Result reply_json(struct exchange *x, int status, json_t *body)
{
    char *text = body ? json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS)) : NULL;
    json_decref(body);
    return reply_text(x, status, "application/json", text, text ? strlen(text) : 0);
}

json_t *reply_string(struct slice text)
{
    json_t *s = json_stringn(text.bytes, text.length);
    if (s)
        return s;
    char *copy = malloc(text.length + 1);
    if (!copy)
        return NULL;
    for (size_t i = 0; i < text.length; i++)
        copy[i] = (char)((unsigned char)text.bytes[i] < 0x80 ? text.bytes[i] : '?');
    s = json_stringn(copy, text.length);
    free(copy);
    return s;
}

json_t *reply_error_object(const struct error *err)
{
    return json_pack("{s:s, s:o, s:i}", "code", error_json_code(err->code), "message",
                     reply_string((struct slice){err->message, strlen(err->message)}), "status",
                     error_status(err->code));
}

enum MHD_Result reply_error(struct exchange *x, const struct error *err)
{
    return reply_json(
        x, error_status(err->code),
        json_pack("{s:o, s:s}", "error", reply_error_object(err), "request_id", x->id));
}
