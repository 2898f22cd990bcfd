/* The connection monitor does what libmicrohttpd does not: it accepts connections within our
 * limits, keeps deadlines for whole uploads and requests, and notices clients that leave while
 * their request waits. */
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
    const char *name; /* of the monitor's thread */
    const int *listen_fds;
    size_t listen_fd_count;
    bool tls;                /* on TCP: a refused client gets no reason */
    size_t descriptors_kept; /* number of the highest descriptors to leave free: see http.c */
    int64_t heartbeat_ns;    /* interval at which it shows that it is alive; 0: never */
    /* Passes an accepted connection to the HTTP library. False if that failed; the socket is closed
     * then. monitor_adopted may be called for it during this call or later, in any thread. */
    bool (*adopt)(void *arg, int fd, const struct sockaddr *address, socklen_t length);
    void *arg;
};

/* Prepares a monitor. ERR_NO_MEMORY, ERR_IO. `*out` belongs to the caller. */
int monitor_create(struct monitor **out, const struct monitor_settings *settings,
                   struct error *err);

/* Starts the monitor's thread, which accepts connections from then on. ERR_THREAD. */
int monitor_start(struct monitor *monitor, struct error *err);

/* Sets the time limits of a configuration, for deadlines that start from now on. Any thread. */
void monitor_set_limits(struct monitor *monitor, const struct conf *conf);

/* False if its thread has not shown for `ns` that it is alive. Any thread. */
bool monitor_alive(const struct monitor *monitor, int64_t ns);

/* Cancels all waiting requests and ends the thread. The monitor then accepts no connections and
 * enforces no deadlines. */
void monitor_halt(struct monitor *monitor);

/* Frees a monitor that is halted or was never started. No connection may be left. */
void monitor_destroy(struct monitor *monitor);

/* Accepts the connections in the backlog, and no others from then on. Ends idle connections;
 * requests that have arrived on the others are answered. When this returns, the listening sockets
 * are no longer used. */
void monitor_begin_drain(struct monitor *monitor);

/* True from monitor_begin_drain on. */
bool monitor_draining(const struct monitor *monitor);

/* Waits until no connection is left, at most until `deadline_ns`. True if none is left, or if those
 * left have their answers and only linger. */
bool monitor_wait_empty(struct monitor *monitor, int64_t deadline_ns);

/* Finishes every waiting request with ERR_DRAINING. From now on no request may wait. */
void monitor_cancel_all(struct monitor *monitor);

/* Returns the peer of a socket that was passed to `adopt`, for the socket's HTTP thread. Never
 * NULL. The peer exists until peer_closed. */
struct peer *monitor_adopted(struct monitor *monitor, int fd);

#endif
