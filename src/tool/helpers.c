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
    struct shared_pass *const *passes;
    int pass_count;
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
    for (int i = 0; !is_over(all); i = (i + 1) % all->pass_count) {
        if (!shared_pass_join(all->passes[i])) {
            sched_yield();
            continue;
        }
        shared_pass_work(all->passes[i], h->workspace, is_over, all);
        shared_pass_leave(all->passes[i]);
    }
    return NULL;
}

int helpers_start(struct helpers **out, int count, struct shared_pass *const *passes,
                  int pass_count, const struct network *network, struct error *err)
{
    struct helpers *all = calloc(1, sizeof *all + (size_t)count * sizeof *all->helpers);
    if (!all)
        return error_set(err, ERR_NO_MEMORY, "no memory for %d helpers", count);
    all->passes = passes;
    all->pass_count = pass_count;
    int code = ERR_OK;
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

void helpers_stop(struct helpers *all)
{
    if (!all)
        return;
    atomic_store(&all->stop, true);
    for (int i = 0; i < all->count; i++) {
        pthread_join(all->helpers[i].thread, NULL);
        workspace_destroy(all->helpers[i].workspace);
    }
    free(all);
}
