/* One forward pass on several threads: whoever has nothing else to do helps.
 *
 * Each thread that runs forward passes has a desk. While a pass runs it stands on the desk, and any
 * other thread may enter, take tiles of the layer that is under way, and leave at the end of a run
 * of them; the pass never waits for more than the tiles that were taken. A run is of RUN_OPERATIONS
 * multiply-adds at most, or of one tile, so that whoever is asked between runs is asked often. With
 * nobody there, or expected, a pass costs two atomic additions a layer more than network_forward.
 */
#ifndef RESNEXT_NN_HELP_H
#define RESNEXT_NN_HELP_H

#include "nn/network.h"

enum { RUN_OPERATIONS = 1 << 29 };

struct desk;

/* ERR_NO_MEMORY. `*out` belongs to the caller, who destroys it when no thread can enter any more.
 */
int desk_create(struct desk **out, struct error *err);
void desk_destroy(struct desk *desk);

struct pass_terms {
    const void *context; /* what helpers get; not NULL */
    int expected;        /* so many helpers that tiles are left for them; more or fewer may come */
    bool (*go_on)(void *arg); /* asked before each run of tiles. NULL: to the end */
    void *arg;
};

/* network_forward, with the help of whoever enters `desk`. The result is the same to the bit; NULL
 * if go_on said no. When it returns, nobody is at the desk. */
const float *network_forward_helped(const struct network *network, struct workspace *workspace,
                                    int images, struct desk *desk, const struct pass_terms *terms);

/* Enters: the context of the pass that is under way, or NULL if there is none (and then the thread
 * is not at the desk). Until it leaves, the pass, its network and whatever `context` points to
 * stay. Any thread. */
const void *desk_enter(struct desk *desk);
void desk_leave(struct desk *desk);

/* Works for the pass until it is over or `stop` says so, which is asked before each run. `mine` is
 * a workspace of the thread's own for the same network. Only between desk_enter and desk_leave. */
void desk_work(struct desk *desk, struct workspace *mine, bool (*stop)(void *), void *stop_context);

#endif
