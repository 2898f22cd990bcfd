/* The HTTP side of the service as a whole. Main thread, but for http_apply. */
#ifndef RESNEXT_HTTP_HTTP_H
#define RESNEXT_HTTP_HTTP_H

#include <stdint.h>

#include "base/error.h"
#include "conf/conf.h"
#include "serve/reload.h"
#include "serve/server.h"

struct http;

/* Opens the sockets and reads the certificates, so that errors in either show before models are
 * loaded. Raises the limit of open files if max_connections needs it. Before any thread. `conf`
 * must outlive it. ERR_CONFIG, ERR_IO, ERR_NO_MEMORY. `*out` belongs to the caller. */
int http_open(struct http **out, const struct conf *conf, struct error *err);

/* Starts to serve. POST /admin/reload asks `reload`, which may be NULL without admin_listen. Every
 * thread shows once per `heartbeat_ns` that it is alive; 0: it need not. ERR_THREAD, ERR_NO_MEMORY,
 * ERR_IO. */
int http_start(struct http *http, struct server *server, struct reload *reload,
               int64_t heartbeat_ns, struct error *err);

/* Puts limits and certificates of a new configuration into effect, or leaves everything as it was:
 * ERR_CONFIG, ERR_IO, ERR_NO_MEMORY. One thread at a time, between http_start and http_close. */
int http_apply(struct http *http, const struct conf *conf, struct error *err);

/* False if one of its threads has shown no sign of life for `ns`: it hangs, and only a restart
 * helps. To be called once per heartbeat. */
bool http_alive(struct http *http, int64_t ns);

/* Accepts no new connections from now on and answers the requests that have come. Returns when all
 * connections are closed, or at `deadline_ns`; requests that still wait then get 503. */
void http_drain(struct http *http, int64_t deadline_ns);

/* Ends everything. The server and the reload must be halted, so that no other thread finishes a
 * request. NULL is fine, and so is one that was not started. */
void http_close(struct http *http);

/* Checks the files that http_open would read. */
int http_check(const struct conf *conf, struct error *err);

/* Values of the metrics' label `endpoint`. */
const char *const *http_endpoints(size_t *count);

#endif
