/* A worker thread. It takes whole requests from the queue and classifies their pictures in its own
 * sessions, so that workers share nothing but the queue and read-only weights. */
#ifndef RESNEXT_SERVE_WORKER_H
#define RESNEXT_SERVE_WORKER_H

#include "serve/generation_parts.h"
#include "serve/helpers.h"
#include "serve/queue.h"

struct worker_context {
    struct queue *queue;
    struct helpers *helpers;
    struct metrics *metrics;
    int64_t heartbeat_ns; /* see server_settings */
};

struct worker;

/* A worker without a thread. `context` must outlive it. ERR_NO_MEMORY. `*out` belongs to the
 * caller, and only the caller's thread may call the functions below that do not say "any thread".
 */
int worker_create(struct worker **out, const struct worker_context *context, int index,
                  struct error *err);

/* Starts its thread, of which there must be none. The thread makes the worker's sessions in
 * `generation`, runs every model once, and waits for worker_begin. `generation` must live until the
 * worker is warm. ERR_THREAD, ERR_NO_MEMORY. */
int worker_start(struct worker *worker, const struct generation *generation, struct error *err);

/* Waits until the worker is warm. Returns the error that kept it from that, if any. */
int worker_wait_warm(struct worker *worker, struct error *err);

/* Lets it take requests from now on, until the queue is closed for it. */
void worker_begin(struct worker *worker);

/* Waits until its thread ends, if there is one. A thread that has not begun ends at once. */
void worker_join(struct worker *worker);

/* Frees a worker without a thread. NULL is fine. */
void worker_destroy(struct worker *worker);

/* When its current request is expected to be done, on clock_monotonic_ns; 0: it has none. Any
 * thread. */
int64_t worker_free_at_ns(const struct worker *worker);

/* When the worker last showed that it is alive, on clock_monotonic_ns; INT64_MAX while it waits for
 * worker_begin. Any thread. */
int64_t worker_alive_ns(const struct worker *worker);

#endif
