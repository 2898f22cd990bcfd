#include "http/http.h"

#include <jansson.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/connections/tls.h"
#include "http/http_server.h"
#include "http/router.h"

enum {
    SPARE_DESCRIPTORS = 256,
    THREAD_DESCRIPTORS = 6, /* of an HTTP thread, in each of two daemons: two, and a heartbeat */
    SERVERS_MAX = 2,
    ENDPOINTS_MAX = 64,
};

static const int64_t FLUSH_NS = 200000000;

struct http {
    const struct conf *conf;                 /* of the start */
    struct http_server servers[SERVERS_MAX]; /* the service's, and perhaps admin_listen's */
    int server_count;
};

const char *const *http_endpoints(size_t *count)
{
    static const char *paths[ENDPOINTS_MAX];
    const struct route *route;
    for (*count = 0; (route = router_route(*count)); (*count)++) {
        CHECK(*count < ENDPOINTS_MAX);
        paths[*count] = route->path;
    }
    return paths;
}

static void raise_file_limit(const struct conf *conf)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    rlim_t own = SPARE_DESCRIPTORS + THREAD_DESCRIPTORS * (rlim_t)conf->http_threads;
    rlim_t wanted =
        conf->max_connections > 0 ? (rlim_t)conf->max_connections + own : files.rlim_max;
    if (files.rlim_cur >= wanted)
        return;
    files.rlim_cur = files.rlim_max < wanted ? files.rlim_max : wanted;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur < wanted)
        log_warning("max_connections = %lld needs %llu open files, the limit is %llu (ulimit -n, "
                    "LimitNOFILE=)",
                    (long long)conf->max_connections, (unsigned long long)wanted,
                    (unsigned long long)files.rlim_cur);
}

int http_open(struct http **out, const struct conf *conf, struct error *err)
{
    struct http *http = calloc(1, sizeof *http);
    struct tls_pair *pair;
    if (!http)
        return error_set(err, ERR_NO_MEMORY, "no memory for the HTTP side");
    json_object_seed(0); /* before threads, which would race to it */
    http->conf = conf;
    raise_file_limit(conf);
    int code = ERR_OK;
    http->server_count = conf->admin_listen.count > 0 ? 2 : 1;
    for (int i = 0; code == ERR_OK && i < http->server_count; i++)
        code = http_server_open(&http->servers[i], conf, i > 0, err);
    if (code == ERR_OK && conf->tls_cert) {
        code = tls_read(&pair, conf, err);
        if (code == ERR_OK)
            tls_use(pair);
    }
    if (code == ERR_OK)
        *out = http;
    else
        http_close(http);
    return code;
}

int http_check(const struct conf *conf, struct error *err)
{
    struct tls_pair *pair;
    if (!conf->tls_cert)
        return ERR_OK;
    int code = tls_read(&pair, conf, err);
    if (code == ERR_OK)
        tls_pair_free(pair);
    return code;
}

int http_start(struct http *http, const struct http_settings *settings, struct error *err)
{
    int code = ERR_OK;
    for (int i = 0; code == ERR_OK && i < http->server_count; i++) {
        struct http_context *context = &http->servers[i].context;
        context->server = settings->server;
        context->reload = settings->reload;
        context->has_admin = http->server_count > 1;
        code = http_server_start(&http->servers[i], settings->heartbeat_ns, err);
    }
    return code;
}

int http_apply(struct http *http, const struct conf *conf, struct error *err)
{
    if (http->conf->tls_cert && conf->tls_cert) {
        struct tls_pair *pair;
        int code = tls_read(&pair, conf, err);
        if (code != ERR_OK)
            return code;
        tls_use(pair);
    }
    for (int i = 0; i < http->server_count; i++)
        monitor_set_limits(http->servers[i].context.monitor, conf);
    return ERR_OK;
}

bool http_alive(struct http *http, int64_t ns)
{
    bool alive = true;
    for (int i = 0; i < http->server_count; i++)
        alive = http_server_alive(&http->servers[i], ns) && alive;
    return alive;
}

static void drain_server(struct http_server *s, int64_t deadline_ns)
{
    struct monitor *monitor = s->context.monitor;
    monitor_begin_drain(monitor);
    listener_close(&s->listener); /* who comes now is refused at once, or waits with systemd */
    if (monitor_wait_empty(monitor, deadline_ns))
        return;
    log_warning("not everything was answered within drain_timeout_s");
    monitor_cancel_all(monitor);
    monitor_wait_empty(monitor, clock_monotonic_ns() + FLUSH_NS);
}

void http_drain(struct http *http, int64_t deadline_ns)
{
    /* The admin server last: it tells how the drain goes. */
    for (int i = 0; i < http->server_count; i++)
        drain_server(&http->servers[i], deadline_ns);
}

void http_close(struct http *http)
{
    if (!http)
        return;
    for (int i = 0; i < http->server_count; i++)
        http_server_close(&http->servers[i]);
    tls_end();
    free(http);
}
