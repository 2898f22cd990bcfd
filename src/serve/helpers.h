/* Workers as helpers: while one worker runs a network, the idle ones help, so that a lone request
 * has all cores. They leave at the end of a run of tiles when a request comes. */
#ifndef RESNEXT_SERVE_HELPERS_H
#define RESNEXT_SERVE_HELPERS_H

#include "serve/generation_parts.h"
#include "serve/queue.h"

struct helpers;

/* Makes the helpers of the workers that wait at `queue`, which must outlive them. ERR_NO_MEMORY.
 * `*out` belongs to the caller, who destroys it when no worker runs any more. */
int helpers_create(struct helpers **out, struct queue *queue, struct error *err);
void helpers_destroy(struct helpers *helpers);

/* Makes space for workers 0 to `workers` - 1 before they start. Running workers are not disturbed.
 * One thread at a time. ERR_NO_MEMORY. */
int helpers_grow(struct helpers *helpers, int workers, struct error *err);

/* Runs a model on the input in the session of a worker, together with all helpers. The logits,
 * [classes], stay in the session until the next call; NULL if `go_on`, which is called with `arg`
 * repeatedly, returned false. The caller holds `generation`. */
const float *helpers_infer(struct helpers *helpers, const struct generation *generation, int worker,
                           size_t model, bool (*go_on)(void *), void *arg);

/* Helps the workers that run a network, as long as no request waits. Calls `report_alive` with
 * `context` before each run of tiles. Worker `worker` itself. */
void helpers_work(struct helpers *helpers, int worker, void (*report_alive)(void *), void *context);

#endif
