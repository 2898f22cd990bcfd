/* The service without its protocol: models, queue, workers, metrics. http sees nothing else of the
 * network. Every function may be called by any thread unless its comment says otherwise. */
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
    int64_t heartbeat_ns; /* interval at which idle workers show that they are alive; 0: they need
                             not */
};

struct server;

/* Loads and tests the models, starts the workers and warms each of them up: when it returns, the
 * first request is as fast as any. Main thread, with all signals blocked. The errors of model_load,
 * ERR_CPU, ERR_THREAD, ERR_NO_MEMORY. `*out` belongs to the caller. */
int server_start(struct server **out, const struct server_settings *settings, struct error *err);

/* Refuses new requests from now on, finishes those in the queue, and ends the workers: when it
 * returns, no worker will call a request's `done` any more. Once, before server_stop, by one
 * thread; NULL is fine. */
void server_halt(struct server *server);

/* Halts the server if that was not done, and frees everything. Nobody may use the server or one of
 * its requests any more. NULL is fine. */
void server_stop(struct server *server);

/* The generation that new requests are to use, with a reference for the caller. */
struct generation *server_generation(struct server *server);

/* Makes a generation from `conf` (from malloc; the generation's if this succeeds) beside the one in
 * use. Its models are loaded, tested, and run once in the sessions of each worker. `conf` and the
 * current CPU budget give the number of workers; missing ones are started, and wait until the
 * generation is installed. The errors of server_start. `*out` has one reference, the caller's, who
 * installs or discards it before the next is prepared. One thread. */
int server_prepare(struct server *server, struct conf *conf, struct generation **out,
                   struct error *err);

/* Releases a prepared generation, and ends the workers started for it. */
void server_discard(struct server *server, struct generation *generation);

/* Replaces the generation in use by a prepared one, with its number of workers and its limits, and
 * takes over the caller's reference. */
void server_install(struct server *server, struct generation *generation);

/* From now on server_ready fails with ERR_DRAINING; requests are still taken. */
void server_begin_drain(struct server *server);

/* Checks whether a request that has `timeout_ns`, of which `waited_ns` have passed, would be taken
 * now: ERR_OVERLOADED if the queue is full, ERR_NO_TIME if its turn would come too late. */
int server_check_capacity(struct server *server, int64_t waited_ns, int64_t timeout_ns,
                          struct error *err);

/* Checks readiness, for /readyz: the same for a request with request_timeout_ms, ERR_OVERLOADED
 * also if there is no memory for even a small body, or ERR_DRAINING. */
int server_ready(struct server *server, struct error *err);
bool server_draining(const struct server *server);

/* Puts a new request in the queue. A refusal finishes it, with ERR_OVERLOADED, ERR_NO_TIME (it
 * could not be answered before its deadline) or ERR_DRAINING. So `done` is called in every case,
 * perhaps before this returns. */
void server_submit(struct server *server, struct request *request);

/* Finishes a request with an error unless it is finished already, and takes it out of the queue. */
void server_cancel(struct server *server, struct request *request, int outcome);

struct server_load {
    size_t queue_depth, queue_limit;
    int workers, workers_busy;
    int spare_cpus;  /* that this process may use beside one for each worker */
    int64_t wait_ns; /* of a new request for a worker, as measured */
};
void server_load(struct server *server, struct server_load *load);

/* Retry-After of a refusal in seconds: when the waiting requests are expected to be done. */
int server_retry_after_s(struct server *server);

/* False if a worker has shown no sign of life for `ns`: it hangs, and only a restart helps. */
bool server_alive(struct server *server, int64_t ns);

struct metrics *server_metrics(struct server *server);

/* The memory for the bodies of all requests and answers. */
struct bodies *server_bodies(struct server *server);

/* The exposition with the current gauges; owned by the caller (free), NULL without memory. */
char *server_render_metrics(struct server *server, size_t *length);

#endif
