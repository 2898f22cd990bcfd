/* A worker thread: takes whole requests from the queue and classifies their pictures with buffers
 * of its own, so that workers share nothing but the queue and read-only weights. */
#ifndef RESNEXT_SERVE_WORKER_H
#define RESNEXT_SERVE_WORKER_H

#include <stdatomic.h>

#include "serve/crew.h"
#include "serve/edition_parts.h"
#include "serve/queue.h"

struct worker_surroundings {
    struct edition *first; /* that the workers warm up with */
    struct queue *queue;
    struct crew *crew;
    struct metrics *metrics;
    int64_t heartbeat_ns; /* see server_settings */
    atomic_int busy;      /* workers with a request in hand */
};

struct worker;

/* Starts a thread. It makes its bench and runs every model once. `surroundings` must outlive it.
 * ERR_THREAD, ERR_NO_MEMORY. `*out` belongs to the caller. */
int worker_start(struct worker **out, struct worker_surroundings *surroundings, int index,
                 struct error *err);

/* Waits until the worker is warm; its errors if it could not get there. Once. */
int worker_wait_warm(struct worker *worker, struct error *err);

/* Joins the thread, which ends once the queue is closed and empty. Once. */
void worker_join(struct worker *worker);

/* Frees a worker that was joined. */
void worker_destroy(struct worker *worker);

/* When the request in its hands will likely be done, on clock_monotonic_ns; 0: there is none. Any
 * thread. */
int64_t worker_free_at_ns(const struct worker *worker);

/* When the worker last showed that it lives, on clock_monotonic_ns. Any thread. */
int64_t worker_alive_ns(const struct worker *worker);

#endif
