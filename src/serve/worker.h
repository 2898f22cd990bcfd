/* A worker thread: takes whole requests from the queue and classifies their pictures in sessions
 * of its own, so that workers share nothing but the queue and read-only weights. */
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
 * caller, the one thread that uses what follows. */
int worker_create(struct worker **out, const struct worker_context *context, int index,
                  struct error *err);

/* Starts its thread, which makes the worker's sessions in a generation, runs every model once, and
 * waits for worker_begin. There must be none. `generation` must last until the worker is warm.
 * ERR_THREAD, ERR_NO_MEMORY. */
int worker_start(struct worker *worker, const struct generation *generation, struct error *err);

/* Waits until the worker is warm; its errors if it could not get there. */
int worker_wait_warm(struct worker *worker, struct error *err);

/* From now on it takes requests, until the queue is closed for it. */
void worker_begin(struct worker *worker);

/* Waits until its thread ends, if there is one: at once if it has not begun. */
void worker_join(struct worker *worker);

/* Frees a worker without a thread. NULL is fine. */
void worker_destroy(struct worker *worker);

/* When the request in its hands will likely be done, on clock_monotonic_ns; 0: there is none. Any
 * thread. */
int64_t worker_free_at_ns(const struct worker *worker);

/* When the worker last showed that it lives, on clock_monotonic_ns; INT64_MAX while it waits for
 * worker_begin. Any thread. */
int64_t worker_alive_ns(const struct worker *worker);

#endif
