/* Threads that do nothing but help with the forward passes of others. */
#ifndef RESNEXT_TOOL_HELPERS_H
#define RESNEXT_TOOL_HELPERS_H

#include "nn/shared_pass.h"

struct helpers;

/* Starts `count` threads that go round `passes` [pass_count], where passes of `network` run. The
 * array and the network must outlive them. ERR_NO_MEMORY, ERR_THREAD. `*out` belongs to the caller.
 */
int helpers_start(struct helpers **out, int count, struct shared_pass *const *passes,
                  int pass_count, const struct network *network, struct error *err);

/* Ends them and waits for it. NULL is fine. */
void helpers_stop(struct helpers *helpers);

#endif
