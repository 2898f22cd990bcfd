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
    const char *name; /* of its thread */
    const int *listen_fds;
    size_t listen_fd_count;
    bool tls;                /* on TCP: a refused client cannot be told why */
    size_t descriptors_kept; /* how many of the highest it leaves free: see http.c */
    int64_t heartbeat_ns;    /* interval at which it shows that it is alive; 0: it need not */
    /* Hands an accepted connection over. False if that failed; then the socket is closed. It may
     * call monitor_adopted for it at once or later, in any thread. */
    bool (*adopt)(void *arg, int fd, const struct sockaddr *address, socklen_t length);
    void *arg;
};

/* Prepares a monitor. ERR_NO_MEMORY, ERR_IO. `*out` belongs to the caller. */
int monitor_create(struct monitor **out, const struct monitor_settings *settings,
                   struct error *err);

/* Starts its thread, which accepts connections from then on. ERR_THREAD. */
int monitor_start(struct monitor *monitor, struct error *err);

/* Sets the time limits of a configuration, for deadlines that start from now on. Any thread. */
void monitor_set_limits(struct monitor *monitor, const struct conf *conf);

/* False if its thread has shown no sign of life for `ns`. Any thread. */
bool monitor_alive(const struct monitor *monitor, int64_t ns);

/* Cancels all waiting requests and ends the thread: no more connections are accepted and no more
 * deadlines kept. */
void monitor_halt(struct monitor *monitor);

/* Frees a monitor that is halted or was never started. No connection may be left. */
void monitor_destroy(struct monitor *monitor);

/* Accepts no new connections from now on and ends idle ones; requests that have come on the others
 * are answered. When it returns, the connections in the backlog are accepted, and the listening
 * sockets are no longer used. */
void monitor_begin_drain(struct monitor *monitor);

/* True from monitor_begin_drain on. */
bool monitor_draining(const struct monitor *monitor);

/* Waits until no connection is left, at most until `deadline_ns`. True if none is left, or only
 * connections that were answered and linger. */
bool monitor_wait_empty(struct monitor *monitor, int64_t deadline_ns);

/* Finishes every waiting request with ERR_DRAINING. From now on no request may wait. */
void monitor_cancel_all(struct monitor *monitor);

/* The peer of a socket that was handed over, for its HTTP thread. Never NULL. It lives until
 * peer_closed. */
struct peer *monitor_adopted(struct monitor *monitor, int fd);

#endif
