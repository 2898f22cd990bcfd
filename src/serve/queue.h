/* The bounded queue between HTTP and the workers: first in, first out. It refuses requests when it
 * is full. */
#ifndef RESNEXT_SERVE_QUEUE_H
#define RESNEXT_SERVE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/request.h"

struct queue;

/* Makes an empty queue, which accepts no requests and has no workers until queue_resize.
 * ERR_NO_MEMORY. `*out` belongs to the caller, who destroys it when no thread uses it any more.
 * queue_destroy releases the requests that still wait, without finishing them. */
int queue_create(struct queue **out, struct error *err);
void queue_destroy(struct queue *queue);

/* From now on `limit` requests (at least 1) may wait, and workers 0 to `workers` - 1 take them; for
 * other workers the queue is closed. Requests that wait stay in the queue. Any thread. */
void queue_resize(struct queue *queue, size_t limit, int workers);

/* Appends a request and takes a reference. ERR_OVERLOADED at the limit, ERR_DRAINING once closed.
 * Any thread. */
int queue_push(struct queue *queue, struct request *request);

enum queue_result { QUEUE_GOT, QUEUE_TIMEOUT, QUEUE_CALLED, QUEUE_CLOSED };

/* Takes the oldest request, and with it the queue's reference. Waits up to `wait_ns` for one;
 * negative: without limit. QUEUE_CALLED if no request waits and queue_call_idle asks for help.
 * QUEUE_CLOSED once the queue is closed and empty, or if `worker` is not below the number of
 * workers. Any thread. */
enum queue_result queue_pop(struct queue *queue, int worker, int64_t wait_ns, struct request **out);

/* Asks idle threads for help: until queue_dismiss_idle, queue_pop returns QUEUE_CALLED to threads
 * that wait in it or enter it. Each call needs its own queue_dismiss_idle. Returns the number of
 * threads that waited. Any thread. */
int queue_call_idle(struct queue *queue);
void queue_dismiss_idle(struct queue *queue);

/* Whether the queue was empty and open a moment ago. Takes no lock. */
bool queue_is_idle(const struct queue *queue);

/* Removes a request and drops the queue's reference, if the request still waits. Any thread. */
void queue_remove(struct queue *queue, struct request *request);

/* Refuses new requests from now on; workers still take those that wait. Any thread. */
void queue_close(struct queue *queue);

/* Returns the number of waiting requests. `*expected_ns` (if not NULL) is the time that one worker
 * is expected to need for all of them. */
size_t queue_depth(struct queue *queue, int64_t *expected_ns);
size_t queue_limit(const struct queue *queue);

/* The number of workers that take requests. */
int queue_workers(const struct queue *queue);

#endif
