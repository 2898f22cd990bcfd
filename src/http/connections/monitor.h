/* What libmicrohttpd does not do for us: accepting within our limits, deadlines for whole uploads
 * and requests, and noticing clients that go away while their request waits. */
#ifndef RESNEXT_HTTP_CONNECTIONS_MONITOR_H
#define RESNEXT_HTTP_CONNECTIONS_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"
#include "conf/conf.h"
#include "http/connections/peer.h"
#include "serve/server.h"

struct monitor;

struct monitor_settings {
    const struct conf *conf; /* of the start; must outlive the monitor */
    struct server *server;
    const char *name; /* of its thread */
    const int *listen_fds;
    size_t listen_fd_count;
    bool tls;                /* on TCP: who is turned away cannot be told why */
    size_t descriptors_kept; /* how many of the last ones it leaves alone: see http.c */
    int64_t heartbeat_ns;    /* it shows that often that it lives; 0: it need not */
    /* Hands an accepted connection on; false if that failed, and the socket is closed then. It may
     * call monitor_adopted for it right away or later, in any thread. */
    bool (*adopt)(void *arg, int fd, const struct sockaddr *address, socklen_t length);
    void *arg;
};

/* Prepares a monitor. ERR_NO_MEMORY, ERR_IO. `*out` belongs to the caller. */
int monitor_create(struct monitor **out, const struct monitor_settings *settings,
                   struct error *err);

/* Starts its thread, which accepts connections from then on. ERR_THREAD. */
int monitor_start(struct monitor *monitor, struct error *err);

/* The time limits of a configuration, for deadlines that start from now on. Any thread. */
void monitor_set_limits(struct monitor *monitor, const struct conf *conf);

/* False if its thread has not moved for `ns`. Any thread. */
bool monitor_alive(const struct monitor *monitor, int64_t ns);

/* Cancels all that waits and ends the thread: no new connections, no deadlines any more. */
void monitor_halt(struct monitor *monitor);

/* Frees a monitor that is halted or was never started. No connection may be left. */
void monitor_destroy(struct monitor *monitor);

/* Turns away new connections from now on, and ends those that have nothing to say; on the others
 * what has come is answered. When it returns, what stood in the backlog is accepted, and the
 * listening sockets are not used any more. */
void monitor_begin_drain(struct monitor *monitor);

/* True from monitor_begin_drain on. */
bool monitor_draining(const struct monitor *monitor);

/* Waits until no connection is left, at most until `deadline_ns`. True if none is, or only such as
 * were answered and linger. */
bool monitor_wait_empty(struct monitor *monitor, int64_t deadline_ns);

/* Finishes every request that waits with ERR_DRAINING, and from now on lets none wait. */
void monitor_cancel_all(struct monitor *monitor);

/* The peer of a socket that was handed on, for its HTTP thread. Never NULL. It lives until
 * peer_closed. */
struct peer *monitor_adopted(struct monitor *monitor, int fd);

#endif
