/* An HTTP server: sockets to listen on, the monitor that accepts there, and libmicrohttpd. The
 * service has one, and admin_listen makes a second, with threads and connections of its own, so
 * that it answers however busy the first one is. Main thread. */
#ifndef RESNEXT_HTTP_HTTP_SERVER_H
#define RESNEXT_HTTP_HTTP_SERVER_H

#include "http/connections/heartbeat.h"
#include "http/connections/listener.h"
#include "http/exchange.h"

/* TLS is spoken on TCP only, so a server may need two of libmicrohttpd's daemons. */
enum http_protocol { HTTP_PLAIN, HTTP_TLS, HTTP_PROTOCOLS };

struct http_server {
    struct http_context context;
    struct listener listener;
    bool tls; /* on TCP */
    struct MHD_Daemon *daemons[HTTP_PROTOCOLS];
    struct heartbeat heartbeats[HTTP_PROTOCOLS];
};

/* Opens the sockets of listen or admin_listen. The errors of listener_open. To be closed also after
 * a failure. */
int http_server_open(struct http_server *s, const struct conf *conf, bool admin, struct error *err);

/* Starts to serve. `heartbeat_ns`: its threads show that often that they live; 0: they need not.
 * The context must be filled but for the monitor. ERR_THREAD, ERR_NO_MEMORY, ERR_IO. */
int http_server_start(struct http_server *s, int64_t heartbeat_ns, struct error *err);

/* False if one of its threads has not moved for `ns`. To be called once a heartbeat. */
bool http_server_alive(struct http_server *s, int64_t ns);

/* Ends everything. No request may be finished by another thread any more. */
void http_server_close(struct http_server *s);

#endif
