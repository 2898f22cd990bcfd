#include "http/router.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "http/auth.h"
#include "http/connections/throttle.h"
#include "http/cors.h"
#include "http/endpoints/endpoints.h"
#include "http/head.h"
#include "http/reply.h"
#include "http/upload.h"
#include "http/work.h"

/* Where a route is. Without admin_listen there is no admin server. */
enum route_place {
    AT_SERVICE, /* the service */
    AT_BOTH,
    AT_METRICS, /* the admin server, or the service if there is none */
    AT_ADMIN,   /* the admin server */
};

enum route_trait {
    TAKES_BODY = 1, /* is work: refused while the server is overloaded */
    IS_OPEN = 2,    /* needs no key */
    IS_PROBE = 4,   /* health or metrics, which machines ask for all the time */
};

/* Who is back sooner asks again at once: Retry-After says a second or more, and nobody needs
 * metrics more often than every second. Of health that is the second. */
static const int64_t BACK_NS = 900000000, HEALTH_BACK_NS = 100000000;

/* Work after an error waits so long, however little time it has. */
static const int64_t AFTER_ERROR_NS = 250000000;

struct route {
    const char *path, *method; /* a segment * stands for any; HEAD works where GET does */
    enum MHD_Result (*answer)(struct exchange *x);
    enum MHD_Result (*resume)(struct exchange *x);
    enum route_place place;
    unsigned traits;
};

static const struct route routes[] = {
    {"/classify", "POST", classify_answer, work_resume, AT_SERVICE, TAKES_BODY},
    {"/embed", "POST", embed_answer, work_resume, AT_SERVICE, TAKES_BODY},
    {"/explain", "POST", explain_answer, work_resume, AT_SERVICE, TAKES_BODY},
    {"/livez", "GET", livez_answer, NULL, AT_BOTH, IS_OPEN | IS_PROBE},
    {"/readyz", "GET", readyz_answer, NULL, AT_BOTH, IS_OPEN | IS_PROBE},
    {"/health", "GET", health_answer, NULL, AT_BOTH, IS_OPEN | IS_PROBE},
    {"/metrics", "GET", metrics_answer, NULL, AT_METRICS, IS_OPEN | IS_PROBE},
    {"/models", "GET", models_answer, NULL, AT_SERVICE, 0},
    {"/v2", "GET", oip_server_answer, NULL, AT_SERVICE, 0},
    {"/v2/health/live", "GET", oip_live_answer, NULL, AT_SERVICE, IS_OPEN | IS_PROBE},
    {"/v2/health/ready", "GET", oip_ready_answer, NULL, AT_SERVICE, IS_OPEN | IS_PROBE},
    {"/v2/models/*", "GET", oip_model_answer, NULL, AT_SERVICE, 0},
    {"/v2/models/*/ready", "GET", oip_model_ready_answer, NULL, AT_SERVICE, 0},
    {"/v2/models/*/infer", "POST", oip_infer_answer, work_resume, AT_SERVICE, TAKES_BODY},
    {"/v2/models/*/versions/*", "GET", oip_model_answer, NULL, AT_SERVICE, 0},
    {"/v2/models/*/versions/*/ready", "GET", oip_model_ready_answer, NULL, AT_SERVICE, 0},
    {"/v2/models/*/versions/*/infer", "POST", oip_infer_answer, work_resume, AT_SERVICE,
     TAKES_BODY},
    {"/admin/reload", "POST", reload_answer, reload_resume, AT_ADMIN, 0},
    {"/", "GET", asset_answer, NULL, AT_SERVICE, IS_OPEN},
    {"/assets/style.css", "GET", asset_answer, NULL, AT_SERVICE, IS_OPEN},
    {"/assets/app.js", "GET", asset_answer, NULL, AT_SERVICE, IS_OPEN},
    {"/assets/live.js", "GET", asset_answer, NULL, AT_SERVICE, IS_OPEN},
    {"/assets/map.js", "GET", asset_answer, NULL, AT_SERVICE, IS_OPEN},
    {"/assets/picture.js", "GET", asset_answer, NULL, AT_SERVICE, IS_OPEN},
    {"/assets/icon.svg", "GET", asset_answer, NULL, AT_SERVICE, IS_OPEN},
    {"/openapi.json", "GET", asset_answer, NULL, AT_SERVICE, IS_OPEN},
};

/* Of any path that exists. */
static const struct route preflight = {
    NULL, "OPTIONS", preflight_answer, NULL, AT_BOTH, IS_OPEN,
};

enum { ROUTE_COUNT = sizeof routes / sizeof routes[0], SMALL_BODY = 262144 };

static bool matches(const struct route *route, const char *path)
{
    const char *pattern = route->path;
    while (*pattern) {
        if (*pattern == '*') {
            size_t segment = strcspn(path, "/");
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

const char *const *router_endpoints(size_t *count)
{
    static const char *names[ROUTE_COUNT];
    for (size_t i = 0; i < ROUTE_COUNT; i++)
        names[i] = routes[i].path;
    *count = ROUTE_COUNT;
    return names;
}

size_t router_endpoint(const struct route *route)
{
    return route && route != &preflight ? (size_t)(route - routes) : ROUTE_COUNT;
}

const char *router_method(size_t endpoint)
{
    return routes[endpoint].method;
}

bool router_is_probe(const struct route *route)
{
    return route && route->traits & IS_PROBE;
}

static bool is_at(const struct route *route, const struct exchange *x)
{
    const struct http_context *context = x->context;
    bool here = route->place == AT_BOTH;
    if (route->place == AT_SERVICE)
        here = !context->is_admin;
    else if (route->place == AT_ADMIN)
        here = context->is_admin;
    else if (route->place == AT_METRICS)
        here = context->is_admin || !context->has_admin;
    return here && !x->path_is_cut && matches(route, x->path);
}

void router_allow(const struct exchange *x, char allow[ROUTER_ALLOW_MAX])
{
    size_t length = 0;
    allow[0] = '\0';
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (!is_at(&routes[i], x))
            continue;
        const char *method = strcmp(routes[i].method, "GET") == 0 ? "GET, HEAD" : routes[i].method;
        int n =
            snprintf(allow + length, ROUTER_ALLOW_MAX - length, "%s%s", length ? ", " : "", method);
        length += (size_t)n;
    }
}

static int find_route(struct exchange *x, struct error *err)
{
    const char *method = strcmp(x->method, "HEAD") == 0 ? "GET" : x->method;
    bool path_exists = false;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (!is_at(&routes[i], x))
            continue;
        path_exists = true;
        if (cors_is_preflight(x))
            x->route = &preflight;
        if (strcmp(routes[i].method, method) == 0) {
            x->route = &routes[i];
            return ERR_OK;
        }
    }
    if (x->route)
        return ERR_OK;
    if (!path_exists)
        return error_set(err, ERR_NOT_FOUND, "there is nothing at %.128s", x->path);
    char allow[ROUTER_ALLOW_MAX];
    router_allow(x, allow);
    return error_set(err, ERR_METHOD, "%s is not allowed at %s; use %s", x->method, x->path, allow);
}

static bool is_work(const struct exchange *x)
{
    return x->route && x->route->traits & TAKES_BODY;
}

static int check_capacity(struct exchange *x, struct error *err)
{
    if (!is_work(x))
        return ERR_OK;
    int code = server_check_capacity(x->context->server, x->paused_ns, x->timeout_ns, err);
    return code == ERR_OK ? upload_check_memory(x, err) : code;
}

/* Some clients send a body without saying so. */
static bool lacks_length(const struct exchange *x)
{
    return !x->has_length && (strcmp(x->method, "POST") == 0 || strcmp(x->method, "PUT") == 0 ||
                              strcmp(x->method, "PATCH") == 0);
}

static int check_length(const struct exchange *x, struct error *err)
{
    if (x->has_length || !is_work(x))
        return ERR_OK;
    return error_set(err, ERR_LENGTH_REQUIRED,
                     "a body is wanted here; send Content-Length, or Transfer-Encoding: chunked");
}

static int check_headers(struct exchange *x, const char *method, const char *version,
                         struct error *err)
{
    int code = head_check(x, method, version, err);
    /* What follows must not be read as a request. */
    x->closes = code != ERR_OK || lacks_length(x) || x->head.is_loose;
    if (code != ERR_OK) {
        x->has_body = true;
        x->upload.announced = 0;
        return code;
    }
    code = find_route(x, err);
    if (!x->route || !(x->route->traits & IS_OPEN)) {
        /* Before anything else is told, even what there is. */
        struct error refused;
        if (auth_check(x, &refused) != ERR_OK) {
            *err = refused;
            return ERR_UNAUTHORIZED;
        }
    }
    if (code == ERR_OK)
        code = exchange_read_timeout(x, err);
    if (code == ERR_OK)
        code = upload_check_acceptable(x, err);
    if (code == ERR_OK)
        code = check_length(x, err);
    if (code == ERR_OK)
        code = check_capacity(x, err);
    return code;
}

/* Counts it once: not if the connection was cut for its time, and so counted, before; and the
 * upload that then stops is not counted for that. */
static void note_refusal(const struct exchange *x, int code)
{
    const struct {
        int code;
        enum metric_reason reason;
    } counted[] = {
        {ERR_OVERLOADED, REASON_OVERLOADED},
        {ERR_NO_TIME, exchange_late_reason(x, REASON_EXPECTED_WAIT)},
        {ERR_UNAUTHORIZED, REASON_UNAUTHORIZED},
        {ERR_BODY_TOO_LARGE, REASON_BODY_TOO_LARGE},
    };
    peer_refused(x->peer);
    for (size_t i = 0; i < sizeof counted / sizeof counted[0]; i++)
        if (counted[i].code == code && !peer_timed_out(x->peer))
            metrics_add(server_metrics(x->context->server), COUNTER_rejected, counted[i].reason, 0,
                        0, 1);
}

/* Answering at once spares us the body, but ends the connection, and a new one costs more than to
 * read a small body that is on its way. A drain ends it anyway. */
static bool is_soon_read(const struct exchange *x)
{
    if (!x->has_body)
        return true;
    if (monitor_draining(x->context->monitor))
        return false;
    size_t limit = (size_t)x->conf->max_body_bytes, announced = x->upload.announced;
    limit = limit < SMALL_BODY ? limit : SMALL_BODY;
    return announced > 0 && announced <= limit && !exchange_header(x, "Expect");
}

/* What is no work, finds no space or follows what came to nothing waits before it is answered and
 * before its upload costs anything; perhaps there is space then. Work that has space waits for
 * half of its time at most, since it would be refused for certain later; after an error for
 * AFTER_ERROR_NS, if that is more. */
static bool must_wait(struct exchange *x, bool accepted)
{
    const struct http_context *context = x->context;
    bool is_probe = router_is_probe(x->route);
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

static enum MHD_Result handle_headers(struct exchange *x, const char *method, const char *version)
{
    struct error refusal;
    exchange_identify(x, method);
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
        note_refusal(x, code);
        if (!is_soon_read(x))
            return reply_error(x, &refusal);
        /* It is answered when the body is complete; until then that is thrown away. */
        x->refusal = refusal;
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
        return upload_discard(x, come) ? MHD_YES : MHD_NO;
    struct error refusal;
    int code = upload_append(x, bytes, come, is_work(x), &refusal);
    if (code != ERR_OK) {
        note_refusal(x, code);
        upload_free(x);
        x->refusal = refusal;
        x->closes = true;
    }
    return MHD_YES;
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
