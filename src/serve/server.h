/* The service without its protocol: models, queue, workers, metrics. src/http uses the network only
 * through this interface. Any thread may call a function unless the function's comment says
 * otherwise. */
#ifndef RESNEXT_SERVE_SERVER_H
#define RESNEXT_SERVE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "conf/conf.h"
#include "serve/bodies.h"
#include "serve/generation.h"
#include "serve/metrics.h"
#include "serve/request.h"

struct server_settings {
    const struct conf *conf;      /* must outlive the server and every request */
    const char *const *endpoints; /* values of the metrics' label */
    size_t endpoint_count;
    int64_t heartbeat_ns; /* idle workers show this often that they are alive, busy ones at every
                             step; 0: never */
};

struct server;

/* Loads and tests the models, starts the workers and warms each of them up, so that the first
 * request is as fast as later ones. Main thread, with all signals blocked. The errors of
 * model_load, ERR_CPU, ERR_THREAD, ERR_NO_MEMORY. `*out` belongs to the caller. */
int server_start(struct server **out, const struct server_settings *settings, struct error *err);

/* Refuses new requests from now on, finishes those in the queue, and ends the workers. After it
 * returns, no worker calls a request's `done`. One thread may call it, once, before server_stop.
 * NULL is fine. */
void server_halt(struct server *server);

/* Calls server_halt if nobody has, and frees everything. Nobody may use the server or its requests
 * at that time or later. NULL is fine. */
void server_stop(struct server *server);

/* Returns the generation for new requests, with a reference for the caller. */
struct generation *server_generation(struct server *server);

/* Makes a generation from `conf` while another one is in use. `conf` is from malloc; if this
 * succeeds, the generation owns it. The models are loaded, tested, and run once in the sessions of
 * each worker. `conf` and the current CPU budget determine the number of workers; missing workers
 * are started, and wait until the generation is installed. The errors of server_start. `*out` has
 * one reference, which belongs to the caller. The caller must install or discard the generation
 * before the next one is prepared. One thread. */
int server_prepare(struct server *server, struct conf *conf, struct generation **out,
                   struct error *err);

/* Releases a prepared generation, and ends the workers started for it. */
void server_discard(struct server *server, struct generation *generation);

/* Replaces the generation in use by a prepared one, with its number of workers and its limits, and
 * takes over the caller's reference. */
void server_install(struct server *server, struct generation *generation);

/* From now on server_ready fails with ERR_DRAINING; requests are still accepted. */
void server_begin_drain(struct server *server);

/* Checks whether the queue would accept a request now. The request has a timeout of `timeout_ns`,
 * of which it has used `waited_ns`. ERR_OVERLOADED if the queue is full, ERR_NO_TIME if a worker
 * would take the request too late. */
int server_check_capacity(struct server *server, int64_t waited_ns, int64_t timeout_ns,
                          struct error *err);

/* Checks readiness, for /readyz: server_check_capacity for a request with request_timeout_ms.
 * ERR_OVERLOADED also if there is no memory for even a small body; ERR_DRAINING during a drain. */
int server_ready(struct server *server, struct error *err);
bool server_draining(const struct server *server);

/* Puts a new request in the queue, or finishes it with ERR_OVERLOADED, ERR_NO_TIME (it could not be
 * answered before its deadline) or ERR_DRAINING. `done` is called in every case, perhaps before
 * this function returns. */
void server_submit(struct server *server, struct request *request);

/* Finishes a request with the error `outcome`, unless it is finished already, and removes it from
 * the queue. */
void server_cancel(struct server *server, struct request *request, int outcome);

struct server_load {
    size_t queue_depth, queue_limit;
    int workers, workers_busy;
    int spare_cpus;  /* CPUs that this process may use in addition to one for each worker */
    int64_t wait_ns; /* expected wait of a new request for a worker, from measured times */
};
void server_load(struct server *server, struct server_load *load);

/* Retry-After of a refusal: the expected seconds until the waiting requests are done. */
int server_retry_after_s(struct server *server);

/* False if a worker has not shown for `ns` that it is alive: it hangs, and only a restart helps. */
bool server_alive(struct server *server, int64_t ns);

struct metrics *server_metrics(struct server *server);

/* The memory for the bodies of all requests and answers. */
struct bodies *server_bodies(struct server *server);

/* All metrics in Prometheus' text format, with the current gauges. The caller frees the text. NULL
 * if there is no memory. */
char *server_render_metrics(struct server *server, size_t *length);

#endif
