#include "http/http.h"

#include <errno.h>
#include <jansson.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/exchange.h"
#include "http/listener.h"
#include "http/router.h"

enum {
    CONNECTION_MEMORY = 65536, /* headers, and how much of an upload is read at once */
    SPARE_DESCRIPTORS = 128,
    HTTP_NICENESS = 10,
};

static const int64_t FLUSH_NS = 200000000;

struct http {
    struct http_context context;
    struct listener listener;
    struct MHD_Daemon *daemon;
};

const char *const *http_endpoints(size_t *count)
{
    return router_endpoints(count);
}

static void raise_file_limit(const struct conf *conf)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return;
    rlim_t wanted = conf->max_connections > 0 ? (rlim_t)conf->max_connections + SPARE_DESCRIPTORS
                                              : files.rlim_max;
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
    if (!http)
        return error_set(err, ERR_NO_MEMORY, "no memory for the HTTP side");
    json_object_seed(0); /* before threads, which would race to it */
    http->context.conf = conf;
    raise_file_limit(conf);
    int code = listener_open(&http->listener, &conf->listen, err);
    if (code != ERR_OK) {
        http_close(http);
        return code;
    }
    *out = http;
    return ERR_OK;
}

static bool adopt(void *arg, int fd, const struct sockaddr *address, socklen_t length)
{
    struct http *http = arg;
    return MHD_add_connection(http->daemon, fd, address, length) == MHD_YES;
}

static void notify_connection(void *arg, struct MHD_Connection *connection, void **peer,
                              enum MHD_ConnectionNotificationCode what)
{
    struct http *http = arg;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        peer_closed(*peer);
        return;
    }
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    *peer = watch_adopted(http->context.watch, fd);
}

static void log_library(void *arg, const char *format, va_list args)
{
    (void)arg;
    char text[512];
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    log_debug("libmicrohttpd: %s", text);
}

static int start_daemon(struct http *http, struct error *err)
{
    const struct conf *conf = http->context.conf;
    struct rlimit files = {.rlim_cur = 65536};
    getrlimit(RLIMIT_NOFILE, &files);
    /* The watch counts connections. libmicrohttpd's own limit must never be reached: it would close
     * without an answer, and version 0.9.75 forgets to unlock a mutex then. Each of its threads
     * gets its share, so each share must be more than there can be descriptors. */
    unsigned threads = (unsigned)conf->http_threads;
    uint64_t most = ((uint64_t)files.rlim_cur + 1) * threads;
    unsigned limit = most < INT32_MAX ? (unsigned)most : INT32_MAX;
    struct MHD_OptionItem pool[] = {
        {MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    if (threads == 1) /* a pool of one is no pool to it */
        pool[0].option = MHD_OPTION_END;
    http->daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                             MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG,
                         0, NULL, NULL, router_handle, &http->context,                  //
                         MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL,                 //
                         MHD_OPTION_URI_LOG_CALLBACK, exchange_begin, &http->context,   //
                         MHD_OPTION_NOTIFY_COMPLETED, exchange_end, &http->context,     //
                         MHD_OPTION_NOTIFY_CONNECTION, notify_connection, http,         //
                         MHD_OPTION_STRICT_FOR_CLIENT, 1,                               //
                         MHD_OPTION_CONNECTION_LIMIT, limit,                            //
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, //
                         MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
    if (!http->daemon)
        return error_set(err, ERR_THREAD,
                         "libmicrohttpd does not start: no threads, memory or "
                         "descriptors left");
    return ERR_OK;
}

/* The workers go first: while they have work, HTTP only adds to it, or refuses; without, they leave
 * the CPU to HTTP. So a flood of refusals cannot slow down what was accepted. This is the main
 * thread's niceness on Linux, which the HTTP threads inherit; the workers are running already. */
static void give_way_to_workers(void)
{
    if (setpriority(PRIO_PROCESS, 0, HTTP_NICENESS) != 0)
        log_warning("cannot lower the priority of the HTTP threads: %s", strerror(errno));
}

/* As much as the requests that may wait or run take at their largest. */
static size_t upload_memory_limit(const struct conf *conf, struct server *server)
{
    struct server_load load;
    server_load(server, &load);
    return (load.queue_limit + (size_t)load.workers) * (size_t)conf->max_body_bytes;
}

int http_start(struct http *http, struct server *server, struct error *err)
{
    http->context.server = server;
    http->context.upload_memory_limit = upload_memory_limit(http->context.conf, server);
    give_way_to_workers();
    const struct watch_settings settings = {
        .conf = http->context.conf,
        .server = server,
        .listen_fds = http->listener.fds,
        .listen_fd_count = http->listener.count,
        .adopt = adopt,
        .arg = http,
    };
    int code = watch_create(&http->context.watch, &settings, err);
    if (code == ERR_OK)
        code = start_daemon(http, err);
    return code == ERR_OK ? watch_start(http->context.watch, err) : code;
}

void http_drain(struct http *http, int64_t deadline_ns)
{
    watch_begin_drain(http->context.watch);
    listener_close(&http->listener); /* who comes now is refused at once, or waits with systemd */
    if (watch_wait_empty(http->context.watch, deadline_ns))
        return;
    log_warning("not everything was answered within drain_timeout_s");
    watch_cancel_all(http->context.watch);
    watch_wait_empty(http->context.watch, clock_monotonic_ns() + FLUSH_NS);
}

void http_close(struct http *http)
{
    if (!http)
        return;
    struct watch *watch = http->context.watch;
    if (watch)
        watch_halt(watch);
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    if (watch)
        watch_destroy(watch);
    listener_close(&http->listener);
    free(http);
}
