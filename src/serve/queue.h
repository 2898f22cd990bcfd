/* The bounded queue between HTTP and the workers: first in, first out, and it can refuse. */
#ifndef RESNEXT_SERVE_QUEUE_H
#define RESNEXT_SERVE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/request.h"

struct queue;

/* `limit` (at least 1): requests that may wait. ERR_NO_MEMORY. `*out` belongs to the caller, who
 * destroys it when no thread uses it any more; what still waits is then let go, unfinished. */
int queue_create(struct queue **out, size_t limit, struct error *err);
void queue_destroy(struct queue *queue);

/* Appends, taking a reference. ERR_OVERLOADED at the limit, ERR_DRAINING once closed. Any thread.
 */
int queue_push(struct queue *queue, struct request *request);

enum queue_result { QUEUE_GOT, QUEUE_TIMEOUT, QUEUE_CLOSED };

/* Takes the oldest request, and with it the queue's reference; waits up to `wait_ns` for one
 * (negative: as long as it takes). QUEUE_CLOSED once closed and empty. Any thread. */
enum queue_result queue_pop(struct queue *queue, int64_t wait_ns, struct request **out);

/* Drops a request that waits, and the queue's reference; nothing if it does not. Any thread. */
void queue_remove(struct queue *queue, struct request *request);

/* Refuses new requests from now on; what waits is still handed out. Any thread. */
void queue_close(struct queue *queue);

/* How many wait right now. */
size_t queue_depth(struct queue *queue);
size_t queue_limit(const struct queue *queue);

#endif
