#include "serve/helpers.h"

#include <stdatomic.h>
#include <stdlib.h>

struct helpers {
    struct queue *queue;
    atomic_int count;                        /* only grows */
    struct shared_pass *passes[WORKERS_MAX]; /* one a worker */
};

/* What a helper must know of the pass it joins. */
struct pass {
    const struct generation *generation;
    size_t model;
};

int helpers_create(struct helpers **out, struct queue *queue, struct error *err)
{
    struct helpers *helpers = calloc(1, sizeof *helpers);
    if (!helpers)
        return error_set(err, ERR_NO_MEMORY, "no memory for the workers");
    helpers->queue = queue;
    *out = helpers;
    return ERR_OK;
}

int helpers_grow(struct helpers *helpers, int workers, struct error *err)
{
    int code = ERR_OK;
    for (int i = helpers->count; i < workers && code == ERR_OK; i++) {
        code = shared_pass_create(&helpers->passes[i], err);
        if (code == ERR_OK)
            helpers->count++;
    }
    return code;
}

void helpers_destroy(struct helpers *helpers)
{
    if (!helpers)
        return;
    for (int i = 0; i < helpers->count; i++)
        shared_pass_destroy(helpers->passes[i]);
    free(helpers);
}

const float *helpers_infer(struct helpers *helpers, const struct generation *generation, int worker,
                           size_t model, bool (*go_on)(void *), void *arg)
{
    const struct pass pass = {generation, model};
    const struct pass_terms terms = {
        .context = &pass,
        .expected = queue_call_idle(helpers->queue),
        .go_on = go_on,
        .arg = arg,
    };
    const float *logits = session_forward(generation_session(generation, worker, model),
                                          helpers->passes[worker], &terms);
    queue_dismiss_idle(helpers->queue);
    return logits;
}

/* How a helper knows when to leave. */
struct visit {
    struct queue *queue;
    void (*report_alive)(void *);
    void *context;
};

static bool must_leave(void *context)
{
    const struct visit *v = context;
    v->report_alive(v->context);
    return !queue_is_idle(v->queue);
}

void helpers_work(struct helpers *helpers, int worker, void (*report_alive)(void *), void *context)
{
    struct visit visit = {helpers->queue, report_alive, context};
    int count = helpers->count;
    for (int i = 1; i < count; i++) {
        struct shared_pass *shared = helpers->passes[(worker + i) % count];
        const struct pass *pass = shared_pass_join(shared);
        if (!pass)
            continue;
        struct session *mine = generation_session(pass->generation, worker, pass->model);
        if (mine)
            shared_pass_work(shared, session_workspace(mine, shared_pass_network(shared)),
                             must_leave, &visit);
        shared_pass_leave(shared);
    }
}
