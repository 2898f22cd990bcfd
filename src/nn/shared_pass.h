/* Runs one forward pass on several threads: idle threads help with it.
 *
 * Each thread that runs forward passes owns a struct shared_pass. While a pass runs, any other
 * thread may join it, take tiles of the current layer, and leave at the end of a run of them; the
 * pass waits only for the tiles that were taken. A run is RUN_OPERATIONS multiply-adds at most, or
 * one tile, so that a helper often checks whether it must leave. Without helpers, present or
 * expected, a pass costs two atomic additions per layer more than network_forward. */
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
    const void *context;      /* for helpers; not NULL */
    int expected;             /* how many helpers tiles are left for; more or fewer may come */
    bool (*go_on)(void *arg); /* called before each run of tiles; NULL: run to the end */
    void *arg;
};

/* network_forward, with the help of the threads that join `shared`. The result is bit-identical;
 * NULL if go_on returned false. When it returns, no helper is left. */
const float *network_forward_helped(const struct network *network, struct workspace *workspace,
                                    int images, struct shared_pass *shared,
                                    const struct pass_terms *terms);

/* Joins the pass that is running and returns its context; NULL if there is none, and then the
 * thread has not joined. The pass, its network and the object at `context` exist until the thread
 * leaves. Any thread. */
const void *shared_pass_join(struct shared_pass *shared);
void shared_pass_leave(struct shared_pass *shared);

/* Works for the pass until it ends or `stop`, which is called before each run, returns true. `mine`
 * is a workspace of the thread's own for the same network. Only between shared_pass_join and
 * shared_pass_leave. */
void shared_pass_work(struct shared_pass *shared, struct workspace *mine, bool (*stop)(void *),
                      void *stop_context);

#endif
