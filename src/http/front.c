#include "http/front.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "http/head.h"
#include "http/router.h"
#include "http/tls.h"

enum {
    CONNECTION_MEMORY = 65536, /* headers, and how much of an upload is read at once */
    KEPT_DESCRIPTORS = 16,     /* that connections to the service leave to everything else */
};

int front_open(struct front *front, const struct conf *conf, bool admin, struct error *err)
{
    front->context.conf = conf;
    front->context.is_admin = admin;
    front->context.threads = admin ? 1 : (int)conf->http_threads;
    front->tls = conf->tls_cert;
    return listener_open(&front->listener, admin ? &conf->admin_listen : &conf->listen, admin, err);
}

static bool adopt(void *arg, int fd, const struct sockaddr *address, socklen_t length)
{
    struct front *front = arg;
    for (int i = 0; i < FRONT_PROTOCOLS; i++)
        pulse_forget(&front->pulses[i], fd);
    bool tls = front->tls && address->sa_family != AF_UNIX;
    return MHD_add_connection(front->daemons[tls ? FRONT_TLS : FRONT_PLAIN], fd, address, length) ==
           MHD_YES;
}

static void notify_connection(void *arg, struct MHD_Connection *connection, void **context,
                              enum MHD_ConnectionNotificationCode what)
{
    struct front *front = arg;
    struct pulse *pulses = front->pulses;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (!pulse_ended(&pulses[FRONT_PLAIN], *context) &&
            !pulse_ended(&pulses[FRONT_TLS], *context))
            peer_closed(*context);
        return;
    }
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    *context = pulse_begun(&pulses[FRONT_PLAIN], fd);
    if (!*context)
        *context = pulse_begun(&pulses[FRONT_TLS], fd);
    if (!*context)
        *context = watch_adopted(front->context.watch, fd);
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
        head_refused(status);
}

/* The watch counts connections. libmicrohttpd's own limit must never be reached: it would close
 * without an answer, and version 0.9.75 forgets to unlock a mutex then. Each of its threads gets
 * its share, so each share must be more than there can be descriptors. */
static unsigned connection_limit(unsigned threads)
{
    struct rlimit files = {.rlim_cur = 65536};
    getrlimit(RLIMIT_NOFILE, &files);
    uint64_t most = ((uint64_t)files.rlim_cur + 1) * threads;
    return most < INT32_MAX ? (unsigned)most : INT32_MAX;
}

static int start_daemon(struct front *front, enum front_protocol protocol, struct error *err)
{
    unsigned threads = (unsigned)front->context.threads, flags = 0;
    struct MHD_OptionItem more[4];
    int count = 0;
    if (threads > 1) /* a pool of one is no pool to it */
        more[count++] =
            (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)threads, NULL};
    if (protocol == FRONT_TLS) {
        flags = MHD_USE_TLS;
        more[count++] =
            (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)tls_retrieve};
        more[count++] =
            (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)tls_priorities};
    }
    more[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    front->daemons[protocol] =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                             MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG | flags,
                         0, NULL, NULL, router_handle, &front->context,                  //
                         MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL,                  //
                         MHD_OPTION_URI_LOG_CALLBACK, exchange_begin, &front->context,   //
                         MHD_OPTION_NOTIFY_COMPLETED, exchange_end, &front->context,     //
                         MHD_OPTION_NOTIFY_CONNECTION, notify_connection, front,         //
                         MHD_OPTION_STRICT_FOR_CLIENT, head_is_strict_library() ? 1 : 0, //
                         MHD_OPTION_CONNECTION_LIMIT, connection_limit(threads),         //
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,  //
                         MHD_OPTION_ARRAY, more, MHD_OPTION_END);
    if (!front->daemons[protocol])
        return error_set(err, ERR_THREAD,
                         "libmicrohttpd does not start: no threads, memory or "
                         "descriptors left");
    pulse_start(&front->pulses[protocol], front->daemons[protocol], (int)threads);
    return ERR_OK;
}

/* For admin_listen, the watchdog, a reload; and a pulse of each thread, see steer in pulse.c. */
static size_t descriptors_kept(const struct front *front)
{
    int pulses = FRONT_PROTOCOLS * front->context.threads;
    return front->context.is_admin ? 0 : (size_t)(KEPT_DESCRIPTORS + pulses);
}

int front_start(struct front *front, int64_t heartbeat_ns, struct error *err)
{
    const struct watch_settings settings = {
        .conf = front->context.conf,
        .server = front->context.server,
        .name = front->context.is_admin ? "watch/admin" : "watch",
        .listen_fds = front->listener.fds,
        .listen_fd_count = front->listener.count,
        .tls = front->tls,
        .descriptors_kept = descriptors_kept(front),
        .heartbeat_ns = heartbeat_ns,
        .adopt = adopt,
        .arg = front,
    };
    int code = watch_create(&front->context.watch, &settings, err);
    if (code == ERR_OK)
        code = start_daemon(front, FRONT_PLAIN, err);
    if (code == ERR_OK && front->tls)
        code = start_daemon(front, FRONT_TLS, err);
    return code == ERR_OK ? watch_start(front->context.watch, err) : code;
}

bool front_alive(struct front *front, int64_t ns)
{
    bool alive = watch_alive(front->context.watch, ns);
    for (int i = 0; i < FRONT_PROTOCOLS; i++)
        alive = pulse_check(&front->pulses[i], ns) && alive;
    return alive;
}

void front_apply(struct front *front, const struct conf *conf)
{
    watch_set_limits(front->context.watch, conf);
}

void front_close(struct front *front)
{
    struct watch *watch = front->context.watch;
    if (watch)
        watch_halt(watch);
    for (int i = 0; i < FRONT_PROTOCOLS; i++)
        if (front->daemons[i])
            MHD_stop_daemon(front->daemons[i]);
    if (watch)
        watch_destroy(watch);
    listener_close(&front->listener);
}
