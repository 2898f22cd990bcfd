/* The service without its protocol: models, queue, workers, metrics. This is all that http sees of
 * the network. Every function may be called by any thread unless it says otherwise. */
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
    int64_t heartbeat_ns; /* idle workers show that they live this often; 0: they need not */
};

struct server;

/* Loads and tests the models, starts the workers and warms each of them up; when it returns, the
 * first request is as fast as any. Main thread, with all signals blocked. The errors of model_load,
 * ERR_CPU, ERR_THREAD, ERR_NO_MEMORY. `*out` belongs to the caller. */
int server_start(struct server **out, const struct server_settings *settings, struct error *err);

/* Refuses what is submitted from now on, finishes what waits in the queue, and ends the workers:
 * when it returns, none of them will call a request's `done` any more. Once, before server_stop, by
 * one thread; NULL is fine. */
void server_halt(struct server *server);

/* Halts the server if that was not done, and frees everything. Nobody may use the server or one of
 * its requests any more. NULL is fine. */
void server_stop(struct server *server);

/* The generation that new requests are to use, with a reference for the caller. */
struct generation *server_generation(struct server *server);

/* Makes a generation from `conf` (from malloc; the generation's if this succeeds) beside the one in
 * use: models loaded, tested, and run once in the sessions of each of its workers, as many as
 * `conf` and the CPU budget of now say. Those that are missing are started, and wait until the
 * generation is installed. The errors of server_start. `*out` has one reference, the caller's, who
 * installs or discards it before the next is prepared. One thread. */
int server_prepare(struct server *server, struct conf *conf, struct generation **out,
                   struct error *err);

/* Gives up a generation that was prepared, and the workers started for it. */
void server_discard(struct server *server, struct generation *generation);

/* Puts a new generation in the place of the one in use, with its number of workers and its limits,
 * and takes over the caller's reference. */
void server_install(struct server *server, struct generation *generation);

/* From now on /readyz says no; requests are still taken. */
void server_begin_drain(struct server *server);

/* Whether a request that has `timeout_ns`, of which `waited_ns` are over, would be taken now:
 * ERR_OVERLOADED if the queue is full, ERR_NO_TIME if its turn would not come in time. */
int server_check_capacity(struct server *server, int64_t waited_ns, int64_t timeout_ns,
                          struct error *err);

/* What /readyz says: the same for a request with request_timeout_ms, ERR_OVERLOADED also if there
 * is no memory for even a small body, or ERR_DRAINING. */
int server_ready(struct server *server, struct error *err);
bool server_draining(const struct server *server);

/* Puts a new request in the queue. A refusal finishes it, with ERR_OVERLOADED, ERR_NO_TIME (it
 * could not be answered before its deadline) or ERR_DRAINING, so `done` is called in every case,
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

/* Retry-After of a refusal, in seconds: when what waits now will likely be done. */
int server_retry_after_s(struct server *server);

/* False if a worker has not moved for `ns`: it hangs, and only a restart helps. */
bool server_alive(struct server *server, int64_t ns);

struct metrics *server_metrics(struct server *server);

/* The memory for the bodies of all requests and answers. */
struct bodies *server_bodies(struct server *server);

/* The exposition with the gauges of this moment; owned by the caller (free), NULL without memory.
 */
char *server_render_metrics(struct server *server, size_t *length);

#endif
