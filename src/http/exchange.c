#include "http/exchange.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/number.h"
#include "http/connections/refusal.h"
#include "serve/reload.h"

/* Of this thread, from exchange_begin to exchange_identify. */
static _Thread_local LIST_HEAD(, exchange) incomplete;

/* The path of a request target in origin or absolute form, without its query. */
static void copy_path(struct exchange *x, const char *uri)
{
    if (strncmp(uri, "http://", 7) == 0 || strncmp(uri, "https://", 8) == 0) {
        uri = strchr(uri, ':') + 3;
        uri += strcspn(uri, "/?");
    }
    size_t length = strcspn(uri, "?");
    x->path_is_cut = length >= sizeof x->path;
    snprintf(x->path, sizeof x->path, "%.*s", x->path_is_cut ? (int)sizeof x->path : (int)length,
             uri);
}

void *exchange_begin(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct exchange *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->begin_ns = clock_monotonic_ns();
    x->context = context;
    x->connection = connection;
    x->generation = server_generation(x->context->server);
    x->conf = generation_conf(x->generation);
    x->timeout_ns = x->conf->request_timeout_ms * NS_PER_MS;
    x->peer =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    x->endpoint = metrics_no_endpoint(server_metrics(x->context->server));
    x->upload.bodies = server_bodies(x->context->server);
    x->upload.limit = (size_t)x->conf->max_body_bytes;
    LIST_INSERT_HEAD(&incomplete, x, place);
    x->is_incomplete = true;
    head_begin(&x->head, connection, uri);
    copy_path(x, uri);
    id_generate(x->id);
    peer_receiving(x->peer);
    return x;
}

const char *exchange_header(const struct exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

struct occurrences {
    const char *name, *value; /* the last one's */
    size_t count;
};

static enum MHD_Result note_occurrence(void *arg, enum MHD_ValueKind kind, const char *name,
                                       const char *value)
{
    (void)kind;
    struct occurrences *o = arg;
    if (strcasecmp(name, o->name) == 0) {
        o->value = value;
        o->count++;
    }
    return MHD_YES;
}

size_t exchange_headers(const struct exchange *x, const char *name, const char **last)
{
    struct occurrences o = {.name = name};
    MHD_get_connection_values(x->connection, MHD_HEADER_KIND, note_occurrence, &o);
    *last = o.value;
    return o.count;
}

static void leave_incomplete(struct exchange *x)
{
    if (x->is_incomplete)
        LIST_REMOVE(x, place);
    x->is_incomplete = false;
}

void exchange_identify(struct exchange *x, const char *method)
{
    leave_incomplete(x);
    snprintf(x->method, sizeof x->method, "%s", method);
    const char *id = exchange_header(x, "X-Request-Id");
    if (id && id_is_sane(id))
        memcpy(x->id, id, strlen(id) + 1);
    const char *trace; /* of more than one, none is to be believed */
    if (exchange_headers(x, "traceparent", &trace) == 1 && trace && id_is_traceparent(trace))
        memcpy(x->traceparent, trace, TRACEPARENT_LENGTH);
}

int exchange_read_timeout(struct exchange *x, struct error *err)
{
    const char *text = exchange_header(x, "X-Request-Timeout-Ms");
    if (!text)
        return ERR_OK;
    size_t length = strlen(text);
    int64_t ms = number_parse(text, length);
    if (ms < 1 || length > 9)
        return error_set(err, ERR_PARAMETER,
                         "X-Request-Timeout-Ms must be a whole number of milliseconds, 1 or more");
    if (ms * NS_PER_MS < x->timeout_ns) {
        x->timeout_ns = ms * NS_PER_MS;
        x->is_shortened = true;
    }
    return ERR_OK;
}

static void refuse_on_socket(struct exchange *x, const struct error *err)
{
    const union MHD_ConnectionInfo *tls =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    int fd = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    exchange_identify(x, "");
    refusal_send(fd, tls ? tls->tls_session : NULL, x->id, err);
    x->status = error_status(err->code);
    x->closes = true;
    x->phase = EXCHANGE_ANSWERED;
    peer_replying(x->peer, true);
}

void exchange_refused(int status)
{
    struct exchange *x;
    struct error err;
    LIST_FOREACH(x, &incomplete, place)
    {
        if (!head_refused(&x->head, status, &err))
            continue;
        refuse_on_socket(x, &err);
        return;
    }
}

static void resume_connection(void *connection)
{
    MHD_resume_connection(connection);
}

bool exchange_suspend(struct exchange *x, struct completion *completion, int64_t timeout_ns)
{
    completion->done = resume_connection;
    completion->waiter = x->connection;
    x->phase = EXCHANGE_WAITING;
    /* Suspended first: the answer may come, and resume it, before the next line. */
    MHD_suspend_connection(x->connection);
    int code = peer_waiting(x->peer, completion, x->request, timeout_ns);
    if (code == ERR_OK)
        return true;
    completion_finish(completion, code);
    return false;
}

void exchange_pause(struct exchange *x, int64_t ns)
{
    x->pause_begin_ns = clock_monotonic_ns();
    MHD_suspend_connection(x->connection);
    if (!peer_pause(x->peer, ns, resume_connection, x->connection))
        MHD_resume_connection(x->connection);
}

enum { FIELDS_MAX = 20 };

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
    const struct request_times t = request_times(r);
    put_number(f, "pictures", (double)r->part_count);
    put_number(f, "queue_ms", clock_ns_to_ms(t.queue_ns));
    put_number(f, "decode_ms", clock_ns_to_ms(t.decode_ns));
    put_number(f, "preprocess_ms", clock_ns_to_ms(t.preprocess_ns));
    put_number(f, "inference_ms", clock_ns_to_ms(t.inference_ns));
}

static void log_exchange(const struct exchange *x, const char *ending)
{
    struct fields f = {0};
    put_text(&f, "id", x->id);
    put_text(&f, "client", peer_address(x->peer));
    put_text(&f, "method", x->method);
    put_text(&f, "path", x->path);
    if (x->key && x->key->name[0])
        put_text(&f, "key", x->key->name);
    if (x->model)
        put_text(&f, "model", x->model->name);
    put_number(&f, "status", x->status);
    put_number(&f, "bytes_in", (double)x->upload.received);
    put_number(&f, "bytes_out", (double)x->sent);
    if (x->request && x->request->queued_ns > 0 &&
        completion_outcome(&x->request->completion) == ERR_OK)
        put_stages(&f, x->request);
    put_number(&f, "total_ms", clock_ns_to_ms(clock_monotonic_ns() - x->begin_ns));
    if (x->traceparent[0])
        put_text(&f, "traceparent", x->traceparent);
    if (ending)
        put_text(&f, "ended", ending);
    /* Every second or so of a day, and of no use while all is well. */
    bool is_routine = x->route && x->route->traits & IS_PROBE && x->status == 200 && !ending;
    log_event(is_routine ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO, "request", f.list, f.count);
}

/* An answer of ours that did not go out as a whole is none. */
static const char *settle_unsent(struct exchange *x)
{
    x->status = error_status(ERR_CLIENT_GONE);
    return peer_timed_out(x->peer) ? "slow_reader" : error_json_code(ERR_CLIENT_GONE);
}

/* How an exchange without an answer of ours ended, for the log; NULL if it was answered. */
static const char *settle_status(struct exchange *x, enum MHD_RequestTerminationCode how)
{
    if (how == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        x->sent = x->length;
    /* Of one without a body it does not tell: that counts as sent, unless its time was over. */
    if (x->status != 0)
        return x->sent == x->length && !peer_timed_out(x->peer) ? NULL : settle_unsent(x);
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

/* The client will not send another request on this connection, or we shall not answer it. To be
 * sure of that: such a connection is not counted any more. */
static bool is_last(const struct exchange *x)
{
    const char *connection = exchange_header(x, "Connection");
    return x->closes || (connection && names_list_has(connection, "close")) ||
           server_draining(x->context->server);
}

void exchange_end(void *context, struct MHD_Connection *connection, void **exchange,
                  enum MHD_RequestTerminationCode how)
{
    (void)context;
    (void)connection;
    struct exchange *x = *exchange;
    if (!x)
        return;
    *exchange = NULL;
    leave_incomplete(x);
    struct metrics *metrics = server_metrics(x->context->server);
    const char *ending = settle_status(x, how);
    metrics_add(metrics, COUNTER_upload_bytes, 0, 0, 0, x->upload.received);
    metrics_add(metrics, COUNTER_requests, x->endpoint,
                x->model ? x->model->metric : metrics_no_model(metrics),
                metrics_code(metrics, x->status), 1);
    log_exchange(x, ending);
    peer_idle(x->peer, is_last(x), x->status);
    request_release(x->request);
    reload_result_release(x->reload);
    generation_release(x->generation);
    upload_free(&x->upload);
    free(x);
}
