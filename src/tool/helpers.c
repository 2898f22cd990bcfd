#include "tool/helpers.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/threads.h"

struct helper {
    struct helpers *all;
    pthread_t thread;
    struct workspace *workspace;
};

struct helpers {
    struct shared_pass **passes; /* [workers] */
    int workers;
    atomic_bool stop;
    int count; /* of those that run */
    struct helper helpers[];
};

static bool is_over(void *context)
{
    struct helpers *all = context;
    return atomic_load_explicit(&all->stop, memory_order_relaxed);
}

static void *helper_main(void *arg)
{
    struct helper *h = arg;
    struct helpers *all = h->all;
    for (int i = 0; !is_over(all); i = (i + 1) % all->workers) {
        if (!shared_pass_join(all->passes[i])) {
            sched_yield();
            continue;
        }
        shared_pass_work(all->passes[i], h->workspace, is_over, all);
        shared_pass_leave(all->passes[i]);
    }
    return NULL;
}

static int create_passes(struct helpers *all, int workers, struct error *err)
{
    int code = ERR_OK;
    all->passes = calloc((size_t)workers, sizeof(struct shared_pass *));
    if (!all->passes)
        return error_set(err, ERR_NO_MEMORY, "no memory for %d passes", workers);
    for (; code == ERR_OK && all->workers < workers; all->workers++)
        code = shared_pass_create(&all->passes[all->workers], err);
    return code;
}

int helpers_start(struct helpers **out, int count, int workers, const struct network *network,
                  struct error *err)
{
    struct helpers *all = calloc(1, sizeof *all + (size_t)count * sizeof *all->helpers);
    if (!all)
        return error_set(err, ERR_NO_MEMORY, "no memory for %d helpers", count);
    int code = create_passes(all, workers, err);
    for (int i = 0; code == ERR_OK && i < count; i++) {
        struct helper *h = &all->helpers[i];
        h->all = all;
        code = workspace_create(&h->workspace, network, 1, err);
        if (code == ERR_OK)
            code = thread_start(&h->thread, "helper", helper_main, h, err);
        if (code == ERR_OK)
            all->count++;
        else
            workspace_destroy(h->workspace);
    }
    if (code == ERR_OK)
        *out = all;
    else
        helpers_stop(all);
    return code;
}

struct shared_pass *helpers_pass(const struct helpers *all, int worker)
{
    return all ? all->passes[worker] : NULL;
}

void helpers_stop(struct helpers *all)
{
    if (!all)
        return;
    atomic_store(&all->stop, true);
    for (int i = 0; i < all->count; i++) {
        pthread_join(all->helpers[i].thread, NULL);
        workspace_destroy(all->helpers[i].workspace);
    }
    for (int i = 0; i < all->workers; i++)
        shared_pass_destroy(all->passes[i]);
    free(all->passes);
    free(all);
}
