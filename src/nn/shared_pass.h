/* One forward pass on several threads: threads that have nothing else to do help with it.
 *
 * Each thread that runs forward passes owns a struct shared_pass. While a pass runs, any other
 * thread may join it, take tiles of the current layer, and leave at the end of a run of them; the
 * pass waits only for the tiles that were taken. A run is RUN_OPERATIONS multiply-adds at most, or
 * one tile, so that a helper is often asked whether it must leave. Without helpers, present or
 * expected, a pass costs two atomic additions a layer more than network_forward. */
#ifndef RESNEXT_NN_SHARED_PASS_H
#define RESNEXT_NN_SHARED_PASS_H

#include "nn/network.h"

enum { RUN_OPERATIONS = 1 << 29 };

struct shared_pass;

/* ERR_NO_MEMORY. `*out` belongs to the caller, who destroys it when no thread can enter any more.
 */
int shared_pass_create(struct shared_pass **out, struct error *err);
void shared_pass_destroy(struct shared_pass *shared);

struct pass_terms {
    const void *context; /* what helpers get; not NULL */
    int expected;        /* so many helpers that tiles are left for them; more or fewer may come */
    bool (*go_on)(void *arg); /* asked before each run of tiles. NULL: to the end */
    void *arg;
};

/* network_forward, with the help of the threads that join `shared`. The result is the same to the
 * bit; NULL if go_on said no. When it returns, no helper is left. */
const float *network_forward_helped(const struct network *network, struct workspace *workspace,
                                    int images, struct shared_pass *shared,
                                    const struct pass_terms *terms);

/* Enters: the context of the pass that is under way, or NULL if there is none (and then the thread
 * has not joined). Until it leaves, the pass, its network and whatever `context` points to
 * stay. Any thread. */
const void *shared_pass_join(struct shared_pass *shared);
void shared_pass_leave(struct shared_pass *shared);

/* Works for the pass until it is over or `stop` says so, which is asked before each run. `mine` is
 * a workspace of the thread's own for the same network. Only between shared_pass_join and
 * shared_pass_leave. */
void shared_pass_work(struct shared_pass *shared, struct workspace *mine, bool (*stop)(void *),
                      void *stop_context);

#endif
