#include "http/http.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/connections/heartbeat.h"
#include "http/connections/listener.h"
#include "http/connections/tls.h"
#include "http/exchange.h"
#include "http/router.h"

enum {
    SPARE_DESCRIPTORS = 256,
    THREAD_DESCRIPTORS = 6,    /* of an HTTP thread, in each of two daemons: two, and a heartbeat */
    KEPT_DESCRIPTORS = 16,     /* that connections to the service leave to everything else */
    CONNECTION_MEMORY = 65536, /* headers, and how much of an upload is read at once */
    SERVERS_MAX = 2,
    ENDPOINTS_MAX = 64,
};

static const int64_t FLUSH_NS = 200000000;

/* TLS is spoken on TCP only, so a server may need two of libmicrohttpd's daemons. */
enum http_protocol { HTTP_PLAIN, HTTP_TLS, HTTP_PROTOCOLS };

/* An HTTP server: sockets to listen on, the monitor that accepts there, and libmicrohttpd. */
struct http_server {
    struct http_context context;
    struct listener listener;
    bool tls; /* on TCP */
    struct MHD_Daemon *daemons[HTTP_PROTOCOLS];
    struct heartbeat heartbeats[HTTP_PROTOCOLS];
};

/* admin_listen's server has threads and connections of its own, so that it answers however busy the
 * service's is. */
struct http {
    const struct conf *conf;                 /* of the start */
    struct http_server servers[SERVERS_MAX]; /* the service's, and perhaps admin_listen's */
    int server_count;
};

/* --- one server --- */

static int open_server(struct http_server *s, const struct conf *conf, bool admin,
                       struct error *err)
{
    s->context.conf = conf;
    s->context.is_admin = admin;
    s->context.threads = admin ? 1 : (int)conf->http_threads;
    s->tls = conf->tls_cert;
    return listener_open(&s->listener, admin ? &conf->admin_listen : &conf->listen, admin, err);
}

static bool adopt(void *arg, int fd, const struct sockaddr *address, socklen_t length)
{
    struct http_server *s = arg;
    for (int i = 0; i < HTTP_PROTOCOLS; i++)
        heartbeat_forget(&s->heartbeats[i], fd);
    bool tls = s->tls && address->sa_family != AF_UNIX;
    return MHD_add_connection(s->daemons[tls ? HTTP_TLS : HTTP_PLAIN], fd, address, length) ==
           MHD_YES;
}

static void notify_connection(void *arg, struct MHD_Connection *connection, void **context,
                              enum MHD_ConnectionNotificationCode what)
{
    struct http_server *s = arg;
    struct heartbeat *heartbeats = s->heartbeats;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (!heartbeat_ended(&heartbeats[HTTP_PLAIN], *context) &&
            !heartbeat_ended(&heartbeats[HTTP_TLS], *context))
            peer_closed(*context);
        return;
    }
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    *context = heartbeat_begun(&heartbeats[HTTP_PLAIN], fd);
    if (!*context)
        *context = heartbeat_begun(&heartbeats[HTTP_TLS], fd);
    if (!*context)
        *context = monitor_adopted(s->context.monitor, fd);
}

/* Its messages are the only hook where it refuses a request by itself. */
static void log_library(void *arg, const char *format, va_list args)
{
    (void)arg;
    char text[512];
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    log_debug("libmicrohttpd: %s", text);
    int status;
    if (sscanf(text, "Error processing request (HTTP response code is %d", &status) == 1)
        exchange_refused(status);
}

/* The monitor counts connections. libmicrohttpd's own limit must never be reached: it would close
 * without an answer, and version 0.9.75 forgets to unlock a mutex then. Each of its threads gets
 * its share, so each share must be more than there can be descriptors. */
static unsigned connection_limit(unsigned threads)
{
    struct rlimit files = {.rlim_cur = 65536};
    getrlimit(RLIMIT_NOFILE, &files);
    uint64_t max = ((uint64_t)files.rlim_cur + 1) * threads;
    return max < INT32_MAX ? (unsigned)max : INT32_MAX;
}

static int start_daemon(struct http_server *s, enum http_protocol protocol, struct error *err)
{
    unsigned threads = (unsigned)s->context.threads, flags = 0;
    struct MHD_OptionItem more[4];
    int count = 0;
    if (threads > 1) /* a pool of one is no pool to it */
        more[count++] =
            (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL};
    if (protocol == HTTP_TLS) {
        flags = MHD_USE_TLS;
        more[count++] =
            (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)tls_retrieve};
        more[count++] =
            (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)tls_priorities};
    }
    more[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    s->daemons[protocol] =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                             MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG | flags,
                         0, NULL, NULL, router_handle, &s->context,                      //
                         MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL,                  //
                         MHD_OPTION_URI_LOG_CALLBACK, exchange_begin, &s->context,       //
                         MHD_OPTION_NOTIFY_COMPLETED, exchange_end, &s->context,         //
                         MHD_OPTION_NOTIFY_CONNECTION, notify_connection, s,             //
                         MHD_OPTION_STRICT_FOR_CLIENT, head_is_strict_library() ? 1 : 0, //
                         MHD_OPTION_CONNECTION_LIMIT, connection_limit(threads),         //
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,  //
                         MHD_OPTION_ARRAY, more, MHD_OPTION_END);
    if (!s->daemons[protocol])
        return error_set(err, ERR_THREAD,
                         "libmicrohttpd does not start: no threads, memory or "
                         "descriptors left");
    heartbeat_start(&s->heartbeats[protocol], s->daemons[protocol], (int)threads);
    return ERR_OK;
}

/* For admin_listen, the watchdog, a reload; and a heartbeat of each thread, see steer in
 * heartbeat.c. */
static size_t descriptors_kept(const struct http_server *s)
{
    int heartbeats = HTTP_PROTOCOLS * s->context.threads;
    return s->context.is_admin ? 0 : (size_t)(KEPT_DESCRIPTORS + heartbeats);
}

static int start_server(struct http_server *s, int64_t heartbeat_ns, struct error *err)
{
    const struct monitor_settings settings = {
        .conf = s->context.conf,
        .server = s->context.server,
        .name = s->context.is_admin ? "monitor/admin" : "monitor",
        .listen_fds = s->listener.fds,
        .listen_fd_count = s->listener.count,
        .tls = s->tls,
        .descriptors_kept = descriptors_kept(s),
        .heartbeat_ns = heartbeat_ns,
        .adopt = adopt,
        .arg = s,
    };
    int code = monitor_create(&s->context.monitor, &settings, err);
    if (code == ERR_OK)
        code = start_daemon(s, HTTP_PLAIN, err);
    if (code == ERR_OK && s->tls)
        code = start_daemon(s, HTTP_TLS, err);
    return code == ERR_OK ? monitor_start(s->context.monitor, err) : code;
}

static bool server_is_alive(struct http_server *s, int64_t ns)
{
    bool alive = monitor_alive(s->context.monitor, ns);
    for (int i = 0; i < HTTP_PROTOCOLS; i++)
        alive = heartbeat_check(&s->heartbeats[i], ns) && alive;
    return alive;
}

static void close_server(struct http_server *s)
{
    struct monitor *monitor = s->context.monitor;
    if (monitor)
        monitor_halt(monitor);
    for (int i = 0; i < HTTP_PROTOCOLS; i++)
        if (s->daemons[i])
            MHD_stop_daemon(s->daemons[i]);
    if (monitor)
        monitor_destroy(monitor);
    listener_close(&s->listener);
}

static void drain_server(struct http_server *s, int64_t deadline_ns)
{
    struct monitor *monitor = s->context.monitor;
    monitor_begin_drain(monitor);
    listener_close(&s->listener); /* new clients are refused at once, or wait with systemd */
    if (monitor_wait_empty(monitor, deadline_ns))
        return;
    log_warning("not everything was answered within drain_timeout_s");
    monitor_cancel_all(monitor);
    monitor_wait_empty(monitor, clock_monotonic_ns() + FLUSH_NS);
}

/* --- all of them --- */

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
        code = open_server(&http->servers[i], conf, i > 0, err);
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

int http_start(struct http *http, struct server *server, struct reload *reload,
               int64_t heartbeat_ns, struct error *err)
{
    int code = ERR_OK;
    for (int i = 0; code == ERR_OK && i < http->server_count; i++) {
        struct http_context *context = &http->servers[i].context;
        context->server = server;
        context->reload = reload;
        context->has_admin = http->server_count > 1;
        code = start_server(&http->servers[i], heartbeat_ns, err);
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
        alive = server_is_alive(&http->servers[i], ns) && alive;
    return alive;
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
        close_server(&http->servers[i]);
    tls_end();
    free(http);
}
