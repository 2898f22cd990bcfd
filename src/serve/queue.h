/* The bounded queue between HTTP and the workers: first in, first out; it refuses requests when
 * full. */
#ifndef RESNEXT_SERVE_QUEUE_H
#define RESNEXT_SERVE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/request.h"

struct queue;

/* An empty queue, which takes no request and has no workers until queue_resize. ERR_NO_MEMORY.
 * `*out` belongs to the caller, who destroys it when no thread uses it any more. Destroying
 * releases the requests that still wait, unfinished. */
int queue_create(struct queue **out, struct error *err);
void queue_destroy(struct queue *queue);

/* From now on `limit` requests (at least 1) may wait, and workers 0 to `workers` - 1 take them; for
 * other workers the queue is closed. Waiting requests stay. Any thread. */
void queue_resize(struct queue *queue, size_t limit, int workers);

/* Appends a request and takes a reference. ERR_OVERLOADED at the limit, ERR_DRAINING once closed.
 * Any thread. */
int queue_push(struct queue *queue, struct request *request);

enum queue_result { QUEUE_GOT, QUEUE_TIMEOUT, QUEUE_CALLED, QUEUE_CLOSED };

/* Takes the oldest request, and with it the queue's reference. Waits up to `wait_ns` for one;
 * negative: without limit. QUEUE_CALLED if there is none, but a call for help. QUEUE_CLOSED once
 * the queue is closed and empty, or if `worker` is not below the number of workers. Any thread. */
enum queue_result queue_pop(struct queue *queue, int worker, int64_t wait_ns, struct request **out);

/* Calls the threads that wait in queue_pop, or come to it, to help, until queue_dismiss_idle. Calls
 * add up. Returns how many threads waited. Any thread. */
int queue_call_idle(struct queue *queue);
void queue_dismiss_idle(struct queue *queue);

/* Whether the queue was empty and open a moment ago: a look without a lock. */
bool queue_is_idle(const struct queue *queue);

/* Removes a request and drops the queue's reference, if the request still waits. Any thread. */
void queue_remove(struct queue *queue, struct request *request);

/* Refuses new requests from now on; waiting ones are still handed out. Any thread. */
void queue_close(struct queue *queue);

/* The number of waiting requests, and (if not NULL) the time they are expected to take a worker
 * together. */
size_t queue_depth(struct queue *queue, int64_t *expected_ns);
size_t queue_limit(const struct queue *queue);

/* How many workers take requests. */
int queue_workers(const struct queue *queue);

#endif
