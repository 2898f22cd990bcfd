#include "serve/generation.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "conf/credential.h"
#include "serve/generation_parts.h"

struct generation {
    atomic_int references;
    const struct conf *conf;
    bool owns_conf, has_keys;
    struct key_list keys;
    struct model_set models;
    int workers;
    struct session **sessions; /* [WORKERS_MAX][models]; made are those of its workers at least */
    char **info_lines;         /* NULL-terminated; NULL once they are taken */
};

static int read_keys(struct generation *g, struct error *err)
{
    char path[PATH_MAX];
    if (!g->conf->api_keys)
        return ERR_OK;
    g->has_keys = true;
    int code = text_resolve(path, "api_keys", g->conf->api_keys, err);
    return code == ERR_OK ? keys_read(&g->keys, path, err) : code;
}

int generation_check(const struct conf *conf, struct error *err)
{
    struct generation scratch = {.conf = conf};
    int code = read_keys(&scratch, err);
    keys_free(&scratch.keys);
    return code == ERR_OK ? model_set_check(conf, err) : code;
}

static int make_info_lines(struct generation *g, struct error *err)
{
    g->info_lines = calloc(g->models.count + 1, sizeof *g->info_lines);
    for (size_t i = 0; g->info_lines && i < g->models.count; i++) {
        const struct model_info *info = &g->models.entries[i].info;
        const char *const labels[] = {
            "model",  info->name,   "template", info->template_name, "precision", info->precision,
            "sha256", info->sha256, NULL,
        };
        g->info_lines[i] = metrics_info_line(labels);
        if (!g->info_lines[i])
            return error_set(err, ERR_NO_MEMORY, "no memory for the metrics");
    }
    return g->info_lines ? ERR_OK : error_set(err, ERR_NO_MEMORY, "no memory for the metrics");
}

int generation_create(struct generation **out, const struct conf *conf, int workers,
                      struct metrics *metrics, struct error *err)
{
    struct generation *g = calloc(1, sizeof *g);
    if (!g)
        return error_set(err, ERR_NO_MEMORY, "no memory for the models");
    atomic_init(&g->references, 1);
    g->conf = conf;
    g->workers = workers;
    g->sessions = calloc(WORKERS_MAX, sizeof(struct session *));
    int code = g->sessions ? read_keys(g, err)
                           : error_set(err, ERR_NO_MEMORY, "no memory for the workers");
    if (code == ERR_OK)
        code = model_set_open(&g->models, conf, workers, metrics, err);
    if (code == ERR_OK)
        code = make_info_lines(g, err);
    if (code != ERR_OK) {
        generation_release(g);
        return code;
    }
    *out = g;
    return ERR_OK;
}

int generation_workers(const struct generation *generation)
{
    return generation->workers;
}

int generation_check_memory(const struct generation *generation, int more, struct error *err)
{
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < generation->models.count; i++)
        code = network_check_memory(generation->models.models[i]->network, more, err);
    return code;
}

void generation_own_conf(struct generation *generation)
{
    generation->owns_conf = true;
}

int generation_make_sessions(const struct generation *generation, int worker, struct error *err)
{
    CHECK(worker >= 0 && worker < WORKERS_MAX);
    struct session **sessions = &generation->sessions[worker];
    const struct model_set *models = &generation->models;
    return *sessions ? ERR_OK : sessions_create(sessions, models->models, models->count, 1, err);
}

int generation_warm(const struct generation *generation, int worker, struct error *err)
{
    int code = generation_make_sessions(generation, worker, err);
    for (size_t i = 0; code == ERR_OK && i < generation->models.count; i++)
        session_warm_up(generation_session(generation, worker, i));
    return code;
}

void generation_reference(struct generation *generation)
{
    if (generation)
        atomic_fetch_add_explicit(&generation->references, 1, memory_order_relaxed);
}

void generation_release(struct generation *generation)
{
    if (!generation ||
        atomic_fetch_sub_explicit(&generation->references, 1, memory_order_acq_rel) > 1)
        return;
    for (int i = 0; generation->sessions && i < WORKERS_MAX; i++)
        sessions_destroy(generation->sessions[i], generation->models.count);
    free(generation->sessions);
    metrics_free_lines(generation->info_lines);
    model_set_close(&generation->models);
    keys_free(&generation->keys);
    if (generation->owns_conf) {
        struct conf *conf = (struct conf *)generation->conf;
        conf_free(conf);
        free(conf);
    }
    free(generation);
}

const struct conf *generation_conf(const struct generation *generation)
{
    return generation->conf;
}

const struct key_list *generation_keys(const struct generation *generation)
{
    return generation->has_keys ? &generation->keys : NULL;
}

const struct model_set *generation_models(const struct generation *generation)
{
    return &generation->models;
}

struct session *generation_session(const struct generation *generation, int worker, size_t model)
{
    CHECK(worker >= 0 && worker < WORKERS_MAX && model < generation->models.count);
    struct session *sessions = generation->sessions[worker];
    return sessions ? &sessions[model] : NULL;
}

size_t generation_model_count(const struct generation *generation)
{
    return generation->models.count;
}

const struct model_info *generation_model(const struct generation *generation, size_t index)
{
    CHECK(index < generation->models.count);
    return &generation->models.entries[index].info;
}

int generation_find_model(const struct generation *generation, const char *name, size_t *index,
                          struct error *err)
{
    const struct model_set *models = &generation->models;
    *index = models->default_index;
    if (!name)
        return ERR_OK;
    char known[256] = "";
    size_t length = 0;
    for (size_t i = 0; i < models->count; i++) {
        if (strcmp(models->entries[i].info.name, name) == 0) {
            *index = i;
            return ERR_OK;
        }
        int n = snprintf(known + length, sizeof known - length, "%s%s", i ? ", " : "",
                         models->entries[i].info.name);
        length = length + (size_t)n < sizeof known ? length + (size_t)n : sizeof known - 1;
    }
    return error_set(err, ERR_MODEL_UNKNOWN, "no model \"%.64s\" is loaded; there is: %s", name,
                     known);
}

char **generation_take_info_lines(struct generation *generation)
{
    char **lines = generation->info_lines;
    generation->info_lines = NULL;
    return lines;
}
