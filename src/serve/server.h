/* The service without its protocol: models, queue, workers, metrics. This is all that http sees of
 * the network. Every function may be called by any thread unless it says otherwise. */
#ifndef RESNEXT_SERVE_SERVER_H
#define RESNEXT_SERVE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "conf/conf.h"
#include "serve/metrics.h"
#include "serve/request.h"

struct model_info {
    const char *name, *path, *template_name, *precision, *sha256;
    int classes, input_size;
    int64_t parameters, multiply_adds;
    bool is_default;
};

struct server_settings {
    const struct conf *conf;      /* must outlive the server */
    const char *const *endpoints; /* values of the metrics' label */
    size_t endpoint_count;
    int64_t heartbeat_ns; /* idle workers show that they live this often; 0: they need not */
};

struct server;

/* Loads and tests the models, starts the workers and warms each of them up; when it returns, the
 * first request is as fast as any. Main thread, with all signals blocked. The errors of model_load,
 * ERR_CPU, ERR_THREAD, ERR_NO_MEMORY. `*out` belongs to the caller. */
int server_start(struct server **out, const struct server_settings *settings, struct error *err);

/* Ends the workers, after what waits in the queue, and frees everything. Nobody may use the server
 * or one of its requests any more. NULL is fine. */
void server_stop(struct server *server);

/* From now on /readyz says no; requests are still taken. */
void server_begin_drain(struct server *server);

/* ERR_OVERLOADED with what to do if the queue is full. */
int server_check_room(struct server *server, struct error *err);

/* What /readyz says: the same, or ERR_DRAINING. */
int server_ready(struct server *server, struct error *err);
bool server_draining(const struct server *server);

/* Puts a new request in the queue. A refusal finishes it, with ERR_OVERLOADED or ERR_DRAINING, so
 * `done` is called in every case, perhaps before this returns. */
void server_submit(struct server *server, struct request *request);

/* Finishes a request with an error unless it is finished already, and takes it out of the queue. */
void server_cancel(struct server *server, struct request *request, int outcome);

size_t server_model_count(const struct server *server);
const struct model_info *server_model(const struct server *server, size_t index);

/* The index of the model `name` (NULL: the default one). ERR_MODEL_UNKNOWN lists what there is. */
int server_find_model(const struct server *server, const char *name, size_t *index,
                      struct error *err);

struct server_load {
    size_t queue_depth, queue_limit;
    int workers, workers_busy;
};
void server_load(struct server *server, struct server_load *load);

/* False if a worker has not moved for `ns`: it hangs, and only a restart helps. */
bool server_alive(struct server *server, int64_t ns);

struct metrics *server_metrics(struct server *server);

/* The exposition with the gauges of this moment; owned by the caller (free), NULL without memory.
 */
char *server_render_metrics(struct server *server, size_t *length);

#endif
