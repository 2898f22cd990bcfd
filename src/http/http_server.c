#include "http/http_server.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "http/connections/tls.h"
#include "http/head.h"
#include "http/router.h"

enum {
    CONNECTION_MEMORY = 65536, /* headers, and how much of an upload is read at once */
    KEPT_DESCRIPTORS = 16,     /* that connections to the service leave to everything else */
};

int http_server_open(struct http_server *s, const struct conf *conf, bool admin, struct error *err)
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

int http_server_start(struct http_server *s, int64_t heartbeat_ns, struct error *err)
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

bool http_server_alive(struct http_server *s, int64_t ns)
{
    bool alive = monitor_alive(s->context.monitor, ns);
    for (int i = 0; i < HTTP_PROTOCOLS; i++)
        alive = heartbeat_check(&s->heartbeats[i], ns) && alive;
    return alive;
}

void http_server_close(struct http_server *s)
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
