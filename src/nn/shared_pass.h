/* Runs one forward pass on several threads: idle threads help with it.
 *
 * Each thread that runs forward passes owns a struct shared_pass. While a pass runs, any other
 * thread may join it, take tiles of the current layer, and leave at the end of a run of them; the
 * pass waits only for the tiles that were taken. A run is at most RUN_OPERATIONS multiply-adds, or
 * one tile, so that a helper often checks whether it must leave. If there are no helpers and none
 * are expected, a pass costs two atomic additions per layer more than network_forward. */
#ifndef RESNEXT_NN_SHARED_PASS_H
#define RESNEXT_NN_SHARED_PASS_H

#include "nn/network.h"

enum { RUN_OPERATIONS = 1 << 29 };

struct shared_pass;

/* ERR_NO_MEMORY. `*out` belongs to the caller, who destroys it when no thread can join any more. */
int shared_pass_create(struct shared_pass **out, struct error *err);
void shared_pass_destroy(struct shared_pass *shared);

struct pass_terms {
    const void *context;      /* for helpers; not NULL */
    int expected;             /* number of helpers to leave tiles for; more or fewer may join */
    bool (*go_on)(void *arg); /* called before each run of tiles; NULL: run to the end */
    void *arg;
};

/* Does the same as network_forward, with the help of the threads that join `shared`. The result is
 * bit-identical; NULL if go_on returned false. When this returns, no helper is left. */
const float *network_forward_helped(const struct network *network, struct workspace *workspace,
                                    int images, struct shared_pass *shared,
                                    const struct pass_terms *terms);

/* Joins the running pass and returns its context. Returns NULL if no pass is running; the thread
 * has not joined then. The pass, its network and the object at `context` exist until the thread
 * leaves. Any thread. */
const void *shared_pass_join(struct shared_pass *shared);
void shared_pass_leave(struct shared_pass *shared);

/* The network of the pass that the thread has joined; NULL if it has ended meanwhile, and then
 * `mine` of shared_pass_work is not used. */
const struct network *shared_pass_network(const struct shared_pass *shared);

/* Computes runs of tiles until the pass ends, or until `stop`, which is called before each run,
 * returns true. `mine` is the thread's own workspace for the same network. To be called only
 * between shared_pass_join and shared_pass_leave. */
void shared_pass_work(struct shared_pass *shared, struct workspace *mine, bool (*stop)(void *),
                      void *stop_context);

#endif
