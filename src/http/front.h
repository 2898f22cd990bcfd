/* A front: sockets to listen on, the watch that accepts there, and libmicrohttpd. The service has
 * one, and admin_listen makes a second, with threads and connections of its own, so that it answers
 * however busy the first one is. Main thread, but for front_apply. */
#ifndef RESNEXT_HTTP_FRONT_H
#define RESNEXT_HTTP_FRONT_H

#include "http/exchange.h"
#include "http/listener.h"
#include "http/pulse.h"

/* TLS is spoken on TCP only, so a front may need two of libmicrohttpd's daemons. */
enum front_protocol { FRONT_PLAIN, FRONT_TLS, FRONT_PROTOCOLS };

struct front {
    struct http_context context;
    struct listener listener;
    bool tls; /* on TCP */
    struct MHD_Daemon *daemons[FRONT_PROTOCOLS];
    struct pulse pulses[FRONT_PROTOCOLS];
};

/* Opens the sockets of listen or admin_listen. The errors of listener_open. To be closed also after
 * a failure. */
int front_open(struct front *front, const struct conf *conf, bool admin, struct error *err);

/* Starts to serve. `heartbeat_ns`: its threads show that often that they live; 0: they need not.
 * The context must be filled but for the watch. ERR_THREAD, ERR_NO_MEMORY, ERR_IO. */
int front_start(struct front *front, int64_t heartbeat_ns, struct error *err);

/* False if one of its threads has not moved for `ns`. To be called once a heartbeat. */
bool front_alive(struct front *front, int64_t ns);

/* Time limits from a new configuration. Any thread. */
void front_apply(struct front *front, const struct conf *conf);

/* Ends everything. No request may be finished by another thread any more. */
void front_close(struct front *front);

#endif
