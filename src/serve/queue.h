/* The bounded queue between HTTP and the workers: first in, first out, and it can refuse. */
#ifndef RESNEXT_SERVE_QUEUE_H
#define RESNEXT_SERVE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/request.h"

struct queue;

/* Until queue_resize it takes no request and has no workers. ERR_NO_MEMORY. `*out` belongs to
 * the caller, who destroys it when no thread uses it any more; what still waits is then let go,
 * unfinished. */
int queue_create(struct queue **out, struct error *err);
void queue_destroy(struct queue *queue);

/* From now on `limit` requests (at least 1) may wait, and workers 0 to `workers` - 1 take them; for
 * others it is closed. What waits already stays. Any thread. */
void queue_resize(struct queue *queue, size_t limit, int workers);

/* Appends, taking a reference. ERR_OVERLOADED at the limit, ERR_DRAINING once closed. Any thread.
 */
int queue_push(struct queue *queue, struct request *request);

enum queue_result { QUEUE_GOT, QUEUE_TIMEOUT, QUEUE_CALLED, QUEUE_CLOSED };

/* Takes the oldest request, and with it the queue's reference; waits up to `wait_ns` for one
 * (negative: as long as it takes). QUEUE_CALLED if there is none, but a call for help.
 * QUEUE_CLOSED once closed and empty, or if worker `worker` is beyond their number. Any thread. */
enum queue_result queue_pop(struct queue *queue, int worker, int64_t wait_ns, struct request **out);

/* Calls those who wait in queue_pop, or come to it, to help, until it is taken back. Calls add up.
 * Returns how many waited. Any thread. */
int queue_call_idle(struct queue *queue);
void queue_dismiss_idle(struct queue *queue);

/* Whether nothing waits and nothing has been closed, as of a moment ago: a look without a lock. */
bool queue_is_idle(const struct queue *queue);

/* Drops a request that waits, and the queue's reference; nothing if it does not. Any thread. */
void queue_remove(struct queue *queue, struct request *request);

/* Refuses new requests from now on; what waits is still handed out. Any thread. */
void queue_close(struct queue *queue);

/* How many wait right now, and (if not NULL) how long they will likely take a worker together. */
size_t queue_depth(struct queue *queue, int64_t *expected_ns);
size_t queue_limit(const struct queue *queue);

/* How many workers take requests. */
int queue_workers(const struct queue *queue);

#endif
