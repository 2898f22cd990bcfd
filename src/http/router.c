#include "http/router.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "http/auth.h"
#include "http/cors.h"
#include "http/endpoints/asset.h"
#include "http/reply.h"
#include "http/throttle.h"
#include "http/work.h"

/* A client that is back sooner asks again at once: Retry-After says a second or more, and nobody
 * needs metrics more often than every second. The second value is for health checks. */
static const int64_t BACK_NS = 900000000, HEALTH_BACK_NS = 100000000;

/* How long work after an error waits, however little time it has. */
static const int64_t AFTER_ERROR_NS = 250000000;

/* The assets follow. */
static const struct route routes[] = {
#define ROUTE(path, method, answer, place, traits)                                                 \
    {path, method, answer, NULL, place, traits, NULL},
#define ROUTE_RESUMED(path, method, answer, resume, place, traits)                                 \
    {path, method, answer, resume, place, traits, NULL},
#define ROUTE_WORK(path, prepare) {path, "POST", work_answer, work_resume, AT_SERVICE, 0, prepare},
#include "http/routes.def"
};

/* Of any path that exists. */
static const struct route preflight = {
    NULL, "OPTIONS", reply_nothing, NULL, AT_BOTH, IS_OPEN, NULL,
};

enum { ROUTE_COUNT = sizeof routes / sizeof routes[0], SMALL_BODY = 262144 };

static bool matches(const struct route *route, const char *path)
{
    const char *pattern = route->path;
    while (*pattern) {
        if (*pattern == '*') {
            size_t segment = strcspn(path, "/:");
            if (segment == 0)
                return false;
            path += segment;
        } else if (*pattern != *path++) {
            return false;
        }
        pattern++;
    }
    return *path == '\0';
}

const struct route *router_route(size_t index)
{
    if (index < ROUTE_COUNT)
        return &routes[index];
    return index - ROUTE_COUNT < asset_count ? &assets[index - ROUTE_COUNT].route : NULL;
}

static bool is_at(const struct route *route, const struct exchange *x)
{
    const struct http_context *context = x->context;
    unsigned here = context->is_admin    ? AT_ADMIN
                    : context->has_admin ? AT_SERVICE
                                         : AT_SERVICE | AT_LONE_SERVICE;
    return route->place & here && !x->path_is_cut && matches(route, x->path);
}

static int find_route(struct exchange *x, struct error *err)
{
    const struct route *route;
    bool is_head = strcmp(x->method, "HEAD") == 0;
    size_t length = 0;
    for (size_t i = 0; (route = router_route(i)); i++) {
        if (!is_at(route, x))
            continue;
        bool is_get = strcmp(route->method, "GET") == 0;
        if (strcmp(route->method, x->method) == 0 || (is_get && is_head)) {
            x->route = route;
            x->endpoint = i;
            return ERR_OK;
        }
        length += (size_t)snprintf(x->allow + length, sizeof x->allow - length, "%s%s",
                                   length > 0 ? ", " : "", is_get ? "GET, HEAD" : route->method);
    }
    if (length == 0)
        return error_set(err, ERR_NOT_FOUND, "there is nothing at %.128s", x->path);
    if (cors_is_preflight(x)) {
        x->route = &preflight;
        return ERR_OK;
    }
    return error_set(err, ERR_METHOD, "%s is not allowed at %s; use %s", x->method, x->path,
                     x->allow);
}

static bool is_work(const struct exchange *x)
{
    return x->route && x->route->prepare;
}

static int check_capacity(struct exchange *x, struct error *err)
{
    if (!is_work(x))
        return ERR_OK;
    int code = server_check_capacity(x->context->server, x->paused_ns, x->timeout_ns, err);
    return code == ERR_OK ? upload_check_memory(&x->upload, err) : code;
}

/* Some clients send a body without announcing it. */
static bool lacks_length(const struct exchange *x)
{
    return !x->head.has_length &&
           (strcmp(x->method, "POST") == 0 || strcmp(x->method, "PUT") == 0 ||
            strcmp(x->method, "PATCH") == 0);
}

static int check_length(const struct exchange *x, struct error *err)
{
    if (x->head.has_length || !is_work(x))
        return ERR_OK;
    return error_set(err, ERR_LENGTH_REQUIRED,
                     "a body is wanted here; send Content-Length, or Transfer-Encoding: chunked");
}

static int check_headers(struct exchange *x, const char *method, const char *version,
                         struct error *err)
{
    int code = head_check(&x->head, method, version, err);
    /* The bytes that follow must not be read as a request. */
    x->closes = code != ERR_OK || lacks_length(x) || x->head.is_loose;
    if (code != ERR_OK) {
        x->head.has_body = true;
        return code;
    }
    x->upload.announced = x->head.content_length;
    code = find_route(x, err);
    /* Before the client learns anything else, even which paths exist. */
    if (!(x->route && x->route->traits & IS_OPEN) && auth_check(x, err) != ERR_OK)
        return ERR_UNAUTHORIZED;
    if (code == ERR_OK)
        code = exchange_read_timeout(x, err);
    if (code == ERR_OK)
        code = head_check_demands(&x->head, err);
    if (code == ERR_OK)
        code = upload_check_limit(&x->upload, err);
    if (code == ERR_OK)
        code = check_length(x, err);
    if (code == ERR_OK)
        code = check_capacity(x, err);
    return code;
}

/* An answer at once saves reading the body, but ends the connection. A new connection costs more
 * than reading a small body that is already on its way. A drain ends the connection anyway. */
static bool is_soon_read(const struct exchange *x)
{
    if (!x->head.has_body)
        return true;
    if (monitor_draining(x->context->monitor))
        return false;
    size_t announced = x->upload.announced;
    return announced > 0 && announced <= x->upload.limit && announced <= SMALL_BODY &&
           !exchange_header(x, "Expect");
}

/* Requests that need no worker, for which there is no space, or whose client's last request failed
 * wait before they are answered and before their upload costs anything; there may be space then.
 * Work for which there is space waits for half of its time at most, since later it would certainly
 * be refused; after an error it waits for AFTER_ERROR_NS, if that is more. */
static bool must_wait(struct exchange *x, bool accepted)
{
    const struct http_context *context = x->context;
    bool is_probe = x->route && x->route->traits & IS_PROBE;
    bool is_health = is_probe && x->route->place != AT_METRICS;
    int last = peer_last_status(x->peer, is_health ? HEALTH_BACK_NS : BACK_NS);
    bool is_good = accepted && last < 400;
    if (context->is_admin || (is_probe && last == 0) ||
        (is_good && !throttle_is_full(context->server, context->threads)))
        return false;
    int64_t ns = throttle_turn_ns(context->server, context->threads, last != 0);
    int64_t max = x->timeout_ns / 2;
    if (!is_good && max < AFTER_ERROR_NS)
        max = AFTER_ERROR_NS;
    if (accepted && ns > max)
        ns = max;
    if (ns > 0)
        exchange_pause(x, ns);
    return ns > 0;
}

/* Errors at the paths of KServe's two protocols, v1 and Open Inference, have their form. */
static bool is_of_kserve(const char *path)
{
    return strcmp(path, "/v2") == 0 || strncmp(path, "/v2/", 4) == 0 ||
           strncmp(path, "/v1/", 4) == 0;
}

static enum MHD_Result handle_headers(struct exchange *x, const char *method, const char *version)
{
    struct error refusal;
    exchange_identify(x, method);
    x->plain_errors = is_of_kserve(x->path);
    if (x->pause_begin_ns > 0)
        x->paused_ns = clock_monotonic_ns() - x->pause_begin_ns;
    int code = check_headers(x, method, version, &refusal);
    bool accepted = code == ERR_OK && is_work(x);
    if (x->pause_begin_ns == 0) {
        throttle_measure();
        if (must_wait(x, accepted))
            return MHD_YES;
    }
    if (code != ERR_OK) {
        /* With `later` the answer follows the whole body, which is discarded. */
        bool later = is_soon_read(x);
        enum MHD_Result result = reply_refusal(x, &refusal, later);
        if (!later)
            return result;
    }
    if (accepted)
        x->upload_ns = throttle_upload_begins();
    x->phase = EXCHANGE_UPLOAD;
    return MHD_YES;
}

static enum MHD_Result handle_upload(struct exchange *x, const char *bytes, size_t *length)
{
    if (*length == 0 && x->refusal.code != ERR_OK)
        return reply_error(x, &x->refusal);
    if (*length == 0) {
        throttle_upload_ends(x->upload_ns);
        return x->route->answer(x);
    }
    size_t come = *length;
    *length = 0;
    if (x->refusal.code != ERR_OK)
        return upload_discard(&x->upload, come) ? MHD_YES : MHD_NO;
    struct error refusal;
    if (upload_append(&x->upload, bytes, come, is_work(x), &refusal) == ERR_OK)
        return MHD_YES;
    upload_free(&x->upload);
    x->closes = true;
    return reply_refusal(x, &refusal, true);
}

enum MHD_Result router_handle(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload_data,
                              size_t *upload_data_size, void **exchange)
{
    (void)context;
    (void)connection;
    (void)url;
    struct exchange *x = *exchange;
    if (!x)
        return MHD_NO;
    switch (x->phase) {
    case EXCHANGE_HEADERS:
        return handle_headers(x, method, version);
    case EXCHANGE_UPLOAD:
        return handle_upload(x, upload_data, upload_data_size);
    case EXCHANGE_WAITING:
        return x->route->resume(x);
    case EXCHANGE_ANSWERED:
        break;
    }
    *upload_data_size = 0;
    return MHD_YES;
}
