/* Checks that libmicrohttpd's threads are alive. libmicrohttpd has no timer that could call us. It
 * does call us, in the thread concerned, when it takes over a connection. So each thread is given a
 * connection that is already closed, and the next one when it has dropped that. */
#ifndef RESNEXT_HTTP_CONNECTIONS_HEARTBEAT_H
#define RESNEXT_HTTP_CONNECTIONS_HEARTBEAT_H

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { HEARTBEAT_THREADS_MAX = 64 };

struct heartbeat_thread {
    atomic_int fd;           /* of its connection; -1: none */
    _Atomic int64_t beat_ns; /* when it took one over last */
};

struct heartbeat {
    struct MHD_Daemon *daemon; /* NULL: none */
    int threads;
    struct heartbeat_thread list[HEARTBEAT_THREADS_MAX];
};

/* Begins to monitor a daemon with that many threads. */
void heartbeat_start(struct heartbeat *heartbeat, struct MHD_Daemon *daemon, int threads);

/* False if a thread has shown no sign of life for `ns`. Gives each a new connection. One thread at
 * a time. */
bool heartbeat_check(struct heartbeat *heartbeat, int64_t ns);

/* `fd` now belongs to a client: libmicrohttpd has dropped the connection that had this number
 * without telling us, as it does when it is out of memory. */
void heartbeat_forget(struct heartbeat *heartbeat, int fd);

/* A connection has begun. If it is one of ours, notes it and returns the context for its end, else
 * NULL. */
void *heartbeat_begun(struct heartbeat *heartbeat, int fd);

/* A connection with this context has ended. True if it was one of ours. */
bool heartbeat_ended(struct heartbeat *heartbeat, void *context);

#endif
