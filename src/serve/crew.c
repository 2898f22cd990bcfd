#include "serve/crew.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "nn/help.h"

struct crew {
    struct queue *queue;
    atomic_int count;                 /* only grows */
    struct desk *desks[WORKERS_MOST]; /* one a worker */
};

/* What a helper must know of the pass at a desk. */
struct pass {
    const struct edition *edition;
    size_t model;
};

int crew_create(struct crew **out, struct queue *queue, struct error *err)
{
    struct crew *crew = calloc(1, sizeof *crew);
    if (!crew)
        return error_set(err, ERR_NO_MEMORY, "no memory for the workers");
    crew->queue = queue;
    *out = crew;
    return ERR_OK;
}

int crew_grow(struct crew *crew, int workers, struct error *err)
{
    int code = ERR_OK;
    for (int i = crew->count; i < workers && code == ERR_OK; i++) {
        code = desk_create(&crew->desks[i], err);
        if (code == ERR_OK)
            crew->count++;
    }
    return code;
}

void crew_destroy(struct crew *crew)
{
    if (!crew)
        return;
    for (int i = 0; i < crew->count; i++)
        desk_destroy(crew->desks[i]);
    free(crew);
}

const float *crew_infer(struct crew *crew, const struct edition *edition, int worker, size_t model,
                        bool (*go_on)(void *), void *arg)
{
    const struct network *network = edition_catalog(edition)->entries[model].model->network;
    struct workspace *workspace = edition_workbench(edition, worker)->workspaces[model];
    const struct pass pass = {edition, model};
    const struct pass_terms terms = {
        .context = &pass,
        .expected = queue_call_idle(crew->queue),
        .go_on = go_on,
        .arg = arg,
    };
    const float *logits =
        network_forward_helped(network, workspace, 1, crew->desks[worker], &terms);
    queue_dismiss_idle(crew->queue);
    return logits;
}

/* How a helper knows when to leave. */
struct visit {
    struct queue *queue;
    void (*show_life)(void *);
    void *context;
};

static bool must_leave(void *context)
{
    const struct visit *v = context;
    v->show_life(v->context);
    return !queue_is_idle(v->queue);
}

void crew_help(struct crew *crew, int worker, void (*show_life)(void *), void *context)
{
    struct visit visit = {crew->queue, show_life, context};
    int count = crew->count;
    for (int i = 1; i < count; i++) {
        struct desk *desk = crew->desks[(worker + i) % count];
        const struct pass *pass = desk_enter(desk);
        if (!pass)
            continue;
        struct workbench *mine = edition_workbench(pass->edition, worker);
        if (mine)
            desk_work(desk, mine->workspaces[pass->model], must_leave, &visit);
        desk_leave(desk);
    }
}
