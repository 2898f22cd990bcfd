/* Concurrency. `network` is set when a pass begins and cleared when it ends; `helpers` counts the
 * threads that have joined. A helper increments `helpers` before it reads `network`, and the owner
 * clears `network` before it waits for `helpers` to become 0. These operations are sequentially
 * consistent, so either the helper sees that no pass is running, or the owner waits for the helper.
 *
 * Within a pass, `ticket` holds the current layer and its next tile. A thread takes tiles by a
 * compare-and-swap that moves `ticket` past them, and adds their number to `done` when they are
 * computed. The owner waits until all tiles are done, resets `done`, and moves `ticket` to the next
 * layer. A read of `done` acquires the results that the threads released when they added to it. A
 * read of `ticket` acquires the state that the owner released. So a thread that works on a layer
 * sees the results of all layers before it.
 *
 * An owner that gives up moves `ticket` past the last layer. Then no tiles are left, and each
 * helper leaves when it has computed the tiles that it took. */
#include "nn/shared_pass.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/check.h"

enum { SPINS = 2000 };

struct shared_pass {
    _Atomic(const struct network *) network;
    atomic_int helpers;
    _Atomic uint64_t ticket; /* layer << 32 | next tile */
    atomic_int done;
    struct workspace *workspace;
    const struct pass_terms *terms;
    int images;
};

/* Tiles of one layer. */
struct run {
    size_t layer;
    int begin, end;
};

int shared_pass_create(struct shared_pass **out, struct error *err)
{
    *out = calloc(1, sizeof **out);
    return *out ? ERR_OK : error_set(err, ERR_NO_MEMORY, "no memory for a shared pass");
}

void shared_pass_destroy(struct shared_pass *shared)
{
    CHECK(!shared || (!atomic_load(&shared->network) && atomic_load(&shared->helpers) == 0));
    free(shared);
}

/* Spins; yields from the SPINS-th time on. */
static void wait_a_moment(int *times)
{
    if (*times == SPINS) {
        sched_yield();
        return;
    }
    ++*times;
#ifdef __x86_64__
    __builtin_ia32_pause();
#endif
}

static size_t layer_of(uint64_t ticket)
{
    return (size_t)(ticket >> 32);
}

static int tile_of(uint64_t ticket)
{
    return (int)(ticket & INT32_MAX);
}

static uint64_t read_ticket(const struct shared_pass *shared)
{
    return atomic_load_explicit(&shared->ticket, memory_order_acquire);
}

static size_t current_layer(const struct shared_pass *shared)
{
    return layer_of(read_ticket(shared));
}

static int tile_count(const struct shared_pass *shared, const struct network *network, size_t layer)
{
    return layer < network_layer_count(network) ? network_tile_count(network, layer, shared->images)
                                                : 0;
}

/* The maximum number of a layer's `count` tiles in a run. */
static int longest_run(const struct shared_pass *shared, const struct layer *layer, int count)
{
    int64_t operations = layer_multiply_adds(layer) * shared->images;
    return operations > RUN_OPERATIONS ? (int)(count * (int64_t)RUN_OPERATIONS / operations)
                                       : count;
}

/* How many of the `left` of a layer's `count` tiles to take at once. Runs are long at first,
 * because a kernel reads less per tile in a longer run, and then shorter, so that all threads
 * finish together. A thread without helpers takes all tiles. */
static int run_size(const struct shared_pass *shared, const struct layer *layer, int count,
                    int left)
{
    int helpers = atomic_load_explicit(&shared->helpers, memory_order_relaxed);
    if (helpers < shared->terms->expected)
        helpers = shared->terms->expected;
    int size = helpers > 0 ? left / (2 * (helpers + 1)) : left;
    int longest = longest_run(shared, layer, count);
    size = size < longest ? size : longest;
    return size > 0 ? size : 1;
}

/* Takes some tiles of the current layer; none if begin >= end. */
static struct run take_tiles(struct shared_pass *shared, const struct network *network)
{
    uint64_t ticket = read_ticket(shared);
    for (;;) {
        struct run run = {.layer = layer_of(ticket), .begin = tile_of(ticket)};
        int count = tile_count(shared, network, run.layer), left = count - run.begin;
        if (left <= 0)
            return (struct run){0};
        int size = run_size(shared, network_layer(network, run.layer), count, left);
        run.end = run.begin + size;
        if (atomic_compare_exchange_weak_explicit(&shared->ticket, &ticket, ticket + (uint64_t)size,
                                                  memory_order_acquire, memory_order_acquire))
            return run;
    }
}

static bool run_some(struct shared_pass *shared, const struct network *network,
                     struct workspace *mine)
{
    struct run run = take_tiles(shared, network);
    if (run.begin >= run.end)
        return false;
    network_run_tiles(network, shared->workspace, mine, run.layer, shared->images, run.begin,
                      run.end);
    atomic_fetch_add_explicit(&shared->done, run.end - run.begin, memory_order_release);
    return true;
}

static bool goes_on(const struct shared_pass *shared)
{
    return !shared->terms->go_on || shared->terms->go_on(shared->terms->arg);
}

/* False if go_on returned false. */
static bool run_layer(struct shared_pass *shared, const struct network *network, size_t layer)
{
    int count = network_tile_count(network, layer, shared->images);
    do {
        if (!goes_on(shared))
            return false;
    } while (run_some(shared, network, shared->workspace));
    for (int times = 0; atomic_load_explicit(&shared->done, memory_order_acquire) < count;)
        wait_a_moment(&times);
    atomic_store_explicit(&shared->done, 0, memory_order_relaxed);
    atomic_store_explicit(&shared->ticket, (uint64_t)(layer + 1) << 32, memory_order_release);
    return true;
}

const float *network_forward_helped(const struct network *network, struct workspace *workspace,
                                    int images, struct shared_pass *shared,
                                    const struct pass_terms *terms)
{
    CHECK(terms->context);
    size_t count = network_layer_count(network), layer = 0;
    shared->workspace = workspace;
    shared->terms = terms;
    shared->images = images;
    atomic_store_explicit(&shared->ticket, 0, memory_order_relaxed);
    atomic_store_explicit(&shared->done, 0, memory_order_relaxed);
    atomic_store(&shared->network, network);
    while (layer < count && run_layer(shared, network, layer))
        layer++;
    atomic_store(&shared->ticket, (uint64_t)count << 32);
    atomic_store(&shared->network, NULL);
    for (int times = 0; atomic_load(&shared->helpers) != 0;)
        wait_a_moment(&times);
    return layer == count ? network_result(network, workspace) : NULL;
}

const void *shared_pass_join(struct shared_pass *shared)
{
    atomic_fetch_add(&shared->helpers, 1);
    if (atomic_load(&shared->network))
        return shared->terms->context;
    shared_pass_leave(shared);
    return NULL;
}

void shared_pass_leave(struct shared_pass *shared)
{
    atomic_fetch_sub(&shared->helpers, 1);
}

const struct network *shared_pass_network(const struct shared_pass *shared)
{
    return atomic_load(&shared->network);
}

void shared_pass_work(struct shared_pass *shared, struct workspace *mine, bool (*stop)(void *),
                      void *context)
{
    const struct network *network = atomic_load(&shared->network);
    size_t count = network ? network_layer_count(network) : 0;
    for (size_t layer; (layer = current_layer(shared)) < count;) {
        do {
            if (stop(context))
                return;
        } while (run_some(shared, network, mine));
        for (int times = 0; current_layer(shared) == layer;) {
            if (stop(context))
                return;
            wait_a_moment(&times);
        }
    }
}
