/* Workers as helpers: while one runs a network, those that have nothing to do help with it, so that
 * a lone request has all cores. They leave at the end of a run of tiles when a request comes. */
#ifndef RESNEXT_SERVE_HELPERS_H
#define RESNEXT_SERVE_HELPERS_H

#include "serve/generation_parts.h"
#include "serve/queue.h"

struct helpers;

/* For workers who wait at `queue`, which must outlive the helpers. ERR_NO_MEMORY. `*out` belongs to
 * the caller, who destroys it when no worker runs any more. */
int helpers_create(struct helpers **out, struct queue *queue, struct error *err);
void helpers_destroy(struct helpers *helpers);

/* Makes space for workers 0 to `workers` - 1, before they start; those that are there go on. One
 * thread at a time. ERR_NO_MEMORY. */
int helpers_grow(struct helpers *helpers, int workers, struct error *err);

/* Runs model `model` of the generation on what lies in the session of worker `worker`,
 * with whoever helps. The logits, [classes], stay in the session until the next call; NULL if
 * `go_on`, which is asked with `arg` again and again, said no. `generation` is held by the caller.
 */
const float *helpers_infer(struct helpers *helpers, const struct generation *generation, int worker,
                           size_t model, bool (*go_on)(void *), void *arg);

/* Worker `worker` helps whoever runs a network, as long as no request waits. `report_alive` is
 * called with `context` before each run of tiles. */
void helpers_work(struct helpers *helpers, int worker, void (*report_alive)(void *), void *context);

#endif
