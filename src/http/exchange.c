#include "http/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/router.h"
#include "http/upload.h"

/* The path of a request target in origin or absolute form, without its query. */
static void copy_path(char *out, size_t size, const char *uri)
{
    if (strncmp(uri, "http://", 7) == 0)
        uri = strchrnul(uri + 7, '/');
    size_t length = strcspn(uri, "?");
    snprintf(out, size, "%.*s", (int)(length < size ? length : size), uri);
}

void *exchange_begin(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct exchange *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->begin_ns = clock_monotonic_ns();
    x->context = context;
    x->connection = connection;
    x->model = metrics_no_model(server_metrics(x->context->server));
    x->peer =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    copy_path(x->path, sizeof x->path, uri);
    id_generate(x->id);
    peer_receiving(x->peer);
    return x;
}

const char *exchange_header(const struct exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

void exchange_identify(struct exchange *x, const char *method)
{
    snprintf(x->method, sizeof x->method, "%s", method);
    const char *id = exchange_header(x, "X-Request-Id");
    if (id && id_is_sane(id))
        memcpy(x->id, id, strlen(id) + 1);
    const char *trace = exchange_header(x, "traceparent");
    if (trace && id_is_traceparent(trace))
        memcpy(x->traceparent, trace, TRACEPARENT_LENGTH + 1);
}

enum { FIELDS_MAX = 16 };

struct fields {
    struct log_field list[FIELDS_MAX];
    size_t count;
};

static void put_text(struct fields *f, const char *key, const char *text)
{
    f->list[f->count++] = (struct log_field){.key = key, .text = text};
}

static void put_number(struct fields *f, const char *key, double number)
{
    f->list[f->count++] = (struct log_field){.key = key, .number = number};
}

static void put_stages(struct fields *f, const struct request *r)
{
    int64_t decode = 0, preprocess = 0, inference = 0;
    for (size_t i = 0; i < r->part_count; i++) {
        decode += r->parts[i].decode_ns;
        preprocess += r->parts[i].preprocess_ns;
        inference += r->parts[i].inference_ns;
    }
    put_number(f, "pictures", (double)r->part_count);
    put_number(f, "queue_ms", clock_ns_to_ms(r->started_ns - r->queued_ns));
    put_number(f, "decode_ms", clock_ns_to_ms(decode));
    put_number(f, "preprocess_ms", clock_ns_to_ms(preprocess));
    put_number(f, "inference_ms", clock_ns_to_ms(inference));
}

static void log_exchange(const struct exchange *x, const char *ending)
{
    struct fields f = {0};
    put_text(&f, "id", x->id);
    put_text(&f, "client", peer_address(x->peer));
    put_text(&f, "method", x->method);
    put_text(&f, "path", x->path);
    if (x->model < server_model_count(x->context->server))
        put_text(&f, "model", server_model(x->context->server, x->model)->name);
    put_number(&f, "status", x->status);
    put_number(&f, "bytes_in", (double)x->received);
    put_number(&f, "bytes_out", (double)x->sent);
    if (x->request && request_outcome(x->request) == ERR_OK)
        put_stages(&f, x->request);
    put_number(&f, "total_ms", clock_ns_to_ms(clock_monotonic_ns() - x->begin_ns));
    if (x->traceparent[0])
        put_text(&f, "traceparent", x->traceparent);
    if (ending)
        put_text(&f, "ended", ending);
    log_event(LOG_LEVEL_INFO, "request", f.list, f.count);
}

/* How an exchange without an answer of ours ended, for the log; NULL if it was answered. */
static const char *settle_status(struct exchange *x)
{
    if (x->status != 0)
        return NULL;
    /* libmicrohttpd answers malformed requests by itself. */
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_HTTP_STATUS);
    if (info && info->http_status != 0) {
        x->status = (int)info->http_status;
        return NULL;
    }
    int code = x->refusal.code != ERR_OK ? (int)x->refusal.code
               : peer_timed_out(x->peer) ? ERR_UPLOAD_TIMEOUT
                                         : ERR_CLIENT_GONE;
    x->status = error_status(code);
    return error_json_code(code);
}

/* The client will not send another request on this connection, or we shall not answer it. */
static bool is_last(const struct exchange *x)
{
    const char *connection = exchange_header(x, "Connection");
    return (connection && strcasestr(connection, "close")) || server_draining(x->context->server);
}

void exchange_end(void *context, struct MHD_Connection *connection, void **exchange,
                  enum MHD_RequestTerminationCode how)
{
    (void)context;
    (void)connection;
    (void)how;
    struct exchange *x = *exchange;
    if (!x)
        return;
    *exchange = NULL;
    struct metrics *metrics = server_metrics(x->context->server);
    const char *ending = settle_status(x);
    metrics_add(metrics, COUNTER_upload_bytes, 0, 0, 0, x->received);
    metrics_add(metrics, COUNTER_requests, router_endpoint(x->route), x->model,
                metrics_code(metrics, x->status), 1);
    log_exchange(x, ending);
    peer_idle(x->peer, is_last(x));
    request_release(x->request);
    upload_free(x);
    free(x->parts);
    free(x);
}
