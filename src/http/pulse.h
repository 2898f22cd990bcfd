/* Whether libmicrohttpd's threads live. It has no timer to call us by, but it calls us, in the
 * thread concerned, when it takes over a connection: so each thread is given one that is closed
 * already, and the next when it has let go of that. */
#ifndef RESNEXT_HTTP_PULSE_H
#define RESNEXT_HTTP_PULSE_H

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { PULSE_THREADS_MAX = 64 };

struct pulse_thread {
    atomic_int fd;           /* of its connection; -1: none */
    _Atomic int64_t beat_ns; /* when it took one over last */
};

struct pulse {
    struct MHD_Daemon *daemon; /* NULL: nothing to watch */
    int threads;
    struct pulse_thread list[PULSE_THREADS_MAX];
};

/* Begins to watch a daemon with that many threads. */
void pulse_start(struct pulse *pulse, struct MHD_Daemon *daemon, int threads);

/* False if a thread has not moved for `ns`; gives each a new connection. One thread at a time. */
bool pulse_check(struct pulse *pulse, int64_t ns);

/* `fd` is a client's: libmicrohttpd has dropped what was there without a word, as it does when it
 * is out of memory. */
void pulse_forget(struct pulse *pulse, int fd);

/* A connection has begun: notes it and returns the context for its end if it is one of ours, else
 * NULL. */
void *pulse_begun(struct pulse *pulse, int fd);

/* A connection with this context has ended: true if it was one of ours. */
bool pulse_ended(struct pulse *pulse, void *context);

#endif
