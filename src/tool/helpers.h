/* Threads that do nothing but help with the forward passes of others. */
#ifndef RESNEXT_TOOL_HELPERS_H
#define RESNEXT_TOOL_HELPERS_H

#include "nn/shared_pass.h"

struct helpers;

/* Starts `count` threads that go round the passes of so many workers, all of `network`, which must
 * outlive them. ERR_NO_MEMORY, ERR_THREAD. `*out` belongs to the caller. */
int helpers_start(struct helpers **out, int count, int workers, const struct network *network,
                  struct error *err);

/* What worker number `worker` runs its passes in. Without helpers NULL. */
struct shared_pass *helpers_pass(const struct helpers *helpers, int worker);

/* Ends them and waits for it, when no pass runs any more. NULL is fine. */
void helpers_stop(struct helpers *helpers);

#endif
