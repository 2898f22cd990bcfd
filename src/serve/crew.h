/* The workers as a crew: while one runs a network, those that have nothing to do help with it, so
 * that a lone request has all cores. They leave at the end of a run of tiles when a request
 * comes. */
#ifndef RESNEXT_SERVE_CREW_H
#define RESNEXT_SERVE_CREW_H

#include "serve/edition_parts.h"
#include "serve/queue.h"

struct crew;

/* For workers who wait at `queue`, which must outlive the crew. ERR_NO_MEMORY. `*out` belongs to
 * the caller, who destroys it when no worker runs any more. */
int crew_create(struct crew **out, struct queue *queue, struct error *err);
void crew_destroy(struct crew *crew);

/* Makes room for workers 0 to `workers` - 1, before they start; those that are there go on. One
 * thread at a time. ERR_NO_MEMORY. */
int crew_grow(struct crew *crew, int workers, struct error *err);

/* Runs model `model` of the edition on the input that lies on the bench of worker `worker`, with
 * whoever helps. The logits, [classes], lie in the bench until the next call; NULL if `go_on`,
 * which is asked with `arg` again and again, said no. `edition` is held by the caller. */
const float *crew_infer(struct crew *crew, const struct edition *edition, int worker, size_t model,
                        bool (*go_on)(void *), void *arg);

/* Worker `worker` helps whoever runs a network, as long as no request waits. `show_life` is called
 * with `context` before each run of tiles. */
void crew_help(struct crew *crew, int worker, void (*show_life)(void *), void *context);

#endif
