#include "serve/queue.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t not_empty;
    TAILQ_HEAD(, request) requests; /* the oldest first */
    size_t depth;
    atomic_size_t limit; /* both change under the lock */
    atomic_int workers;
    size_t calls;        /* for help */
    int idle;            /* threads that wait in queue_pop */
    atomic_bool active;  /* there is a request, or the queue is closed; for queue_is_idle */
    int64_t expected_ns; /* of all that wait */
    bool closed;
};

int queue_create(struct queue **out, struct error *err)
{
    struct queue *q = calloc(1, sizeof *q);
    if (!q)
        return error_set(err, ERR_NO_MEMORY, "no memory for the queue");
    TAILQ_INIT(&q->requests);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->not_empty, NULL);
    *out = q;
    return ERR_OK;
}

static void note_activity(struct queue *q)
{
    atomic_store_explicit(&q->active, q->depth > 0 || q->closed, memory_order_relaxed);
}

static void unlink_request(struct queue *q, struct request *r)
{
    TAILQ_REMOVE(&q->requests, r, place);
    r->queued = false;
    q->depth--;
    q->expected_ns -= r->expected_ns;
    note_activity(q);
}

void queue_destroy(struct queue *queue)
{
    if (!queue)
        return;
    struct request *r;
    while ((r = TAILQ_FIRST(&queue->requests))) {
        unlink_request(queue, r);
        request_release(r);
    }
    pthread_cond_destroy(&queue->not_empty);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

void queue_resize(struct queue *queue, size_t limit, int workers)
{
    CHECK(limit > 0 && workers > 0);
    pthread_mutex_lock(&queue->lock);
    queue->limit = limit;
    queue->workers = workers;
    pthread_cond_broadcast(&queue->not_empty); /* a push must not wake a worker that is to leave */
    pthread_mutex_unlock(&queue->lock);
}

int queue_push(struct queue *queue, struct request *request)
{
    int result = ERR_OK;
    pthread_mutex_lock(&queue->lock);
    if (queue->closed) {
        result = ERR_DRAINING;
    } else if (queue->depth >= queue->limit) {
        result = ERR_OVERLOADED;
    } else {
        completion_reference(&request->completion);
        request->queued = true;
        TAILQ_INSERT_TAIL(&queue->requests, request, place);
        queue->depth++;
        queue->expected_ns += request->expected_ns;
        note_activity(queue);
        pthread_cond_signal(&queue->not_empty);
    }
    pthread_mutex_unlock(&queue->lock);
    return result;
}

static bool is_surplus(const struct queue *q, int worker)
{
    return worker >= q->workers;
}

/* Waits until there is something to do for the worker or the time is up. */
static void wait_for_request(struct queue *q, int worker, int64_t wait_ns)
{
    const struct timespec until = clock_timespec(clock_monotonic_ns() + wait_ns);
    int code = 0;
    q->idle++;
    while (q->depth == 0 && !q->closed && q->calls == 0 && !is_surplus(q, worker) && code == 0)
        code = wait_ns < 0
                   ? pthread_cond_wait(&q->not_empty, &q->lock)
                   : pthread_cond_clockwait(&q->not_empty, &q->lock, CLOCK_MONOTONIC, &until);
    q->idle--;
}

enum queue_result queue_pop(struct queue *queue, int worker, int64_t wait_ns, struct request **out)
{
    enum queue_result result = QUEUE_GOT;
    pthread_mutex_lock(&queue->lock);
    wait_for_request(queue, worker, wait_ns);
    bool surplus = is_surplus(queue, worker);
    *out = surplus ? NULL : TAILQ_FIRST(&queue->requests);
    if (*out)
        unlink_request(queue, *out);
    else if (queue->closed || surplus)
        result = QUEUE_CLOSED;
    else
        result = queue->calls ? QUEUE_CALLED : QUEUE_TIMEOUT;
    pthread_mutex_unlock(&queue->lock);
    return result;
}

int queue_call_idle(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    int idle = queue->idle;
    queue->calls++;
    pthread_cond_broadcast(&queue->not_empty);
    pthread_mutex_unlock(&queue->lock);
    return idle;
}

void queue_dismiss_idle(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    CHECK(queue->calls > 0);
    queue->calls--;
    pthread_mutex_unlock(&queue->lock);
}

bool queue_is_idle(const struct queue *queue)
{
    return !atomic_load_explicit(&queue->active, memory_order_relaxed);
}

void queue_remove(struct queue *queue, struct request *request)
{
    pthread_mutex_lock(&queue->lock);
    bool was_queued = request->queued;
    if (was_queued)
        unlink_request(queue, request);
    pthread_mutex_unlock(&queue->lock);
    if (was_queued)
        request_release(request);
}

void queue_close(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    note_activity(queue);
    pthread_cond_broadcast(&queue->not_empty);
    pthread_mutex_unlock(&queue->lock);
}

size_t queue_depth(struct queue *queue, int64_t *expected_ns)
{
    pthread_mutex_lock(&queue->lock);
    size_t depth = queue->depth;
    if (expected_ns)
        *expected_ns = queue->expected_ns;
    pthread_mutex_unlock(&queue->lock);
    return depth;
}

size_t queue_limit(const struct queue *queue)
{
    return queue->limit;
}

int queue_workers(const struct queue *queue)
{
    return queue->workers;
}
