/* The HTTP side of the service as a whole. Main thread. */
#ifndef RESNEXT_HTTP_HTTP_H
#define RESNEXT_HTTP_HTTP_H

#include <stdint.h>

#include "base/error.h"
#include "conf/conf.h"
#include "serve/server.h"

struct http;

/* Opens the sockets, so that addresses are known to be right before models are loaded; raises the
 * limit of open files if max_connections needs it. Before any thread. `conf` must outlive it.
 * ERR_CONFIG, ERR_NO_MEMORY. `*out` belongs to the caller. */
int http_open(struct http **out, const struct conf *conf, struct error *err);

/* Starts to serve. ERR_THREAD, ERR_NO_MEMORY, ERR_IO. */
int http_start(struct http *http, struct server *server, struct error *err);

/* Takes no new connections and no new requests from now on, answers the accepted ones, and returns
 * when all are answered or at `deadline_ns`. */
void http_drain(struct http *http, int64_t deadline_ns);

/* Ends everything; what still waits gets 503. NULL is fine, and so is one that was not started. */
void http_close(struct http *http);

/* Values of the metrics' label `endpoint`. */
const char *const *http_endpoints(size_t *count);

#endif
