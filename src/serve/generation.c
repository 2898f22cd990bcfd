#include "serve/generation.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/size.h"
#include "conf/credential.h"
#include "serve/generation_parts.h"

/* A generation's models: read-only once loaded. */
struct model_set {
    const struct model **models;
    struct served_model *entries; /* what is known of each */
    size_t count;
    size_t default_index;
};

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

static int select_isas(const struct conf *conf, struct kernel_isas *isas, struct error *err)
{
    const char *isa = kernel_isa_choices[conf->isa];
    if (kernel_isas_select(isa, isas))
        return ERR_OK;
    char here[KERNEL_ISAS_TEXT];
    kernel_isas_here(here);
    return error_set(err, ERR_CPU,
                     "this machine lacks isa = %s; it has %s; use one of these, or auto", isa,
                     here);
}

static struct model_options options_of(const struct conf_model *configured, struct kernel_isas isas)
{
    return (struct model_options){
        .isas = isas,
        .precision = configured->precision,
    };
}

/* Whether the workers will have the memory to run the models that are loaded, `path` the last. */
static int check_memory(const struct model_set *models, int workers, const char *path,
                        struct error *err)
{
    size_t each, all;
    if (!sessions_bytes(models->models, models->count, &each) ||
        !size_mul(each, (size_t)workers, &all))
        return error_set(err, ERR_NO_MEMORY, "%s: more memory is needed than there can be", path);
    int code = memory_check(all, err);
    return code == ERR_OK ? code
                          : error_prefix(err, code, "%s: for %d workers of %zu MiB each", path,
                                         workers, (each >> 20) + 1);
}

static struct model_info info_of(const struct model *m, const struct conf_model *configured)
{
    return (struct model_info){
        .name = configured->name,
        .path = m->path,
        .template_name = m->template_name,
        .precision = precision_name(m->precision),
        .kernels = network_kernels(m->network),
        .cascade = m->cascade,
        .sha256 = m->sha256,
        .activation = activation_name(m->activation),
        .label_source = label_source_name(m->label_source),
        .classes = m->classes,
        .input_size = m->preprocess.size,
        .resize_size = m->preprocess.resize,
        .squashes = m->preprocess.crop_mode == CROP_SQUASH,
        .parameters = m->parameters,
        .multiply_adds = m->multiply_adds,
        .is_default = configured->is_default,
    };
}

/* Memory comes before the self-test, which takes some of it, and time. */
static int load_entry(struct model_set *models, const struct conf_model *configured,
                      struct kernel_isas isas, int workers, struct error *err)
{
    struct model *m = NULL;
    struct served_model *entry = &models->entries[models->count];
    int64_t begin = clock_monotonic_ns();
    const struct model_options options = options_of(configured, isas);
    int code = model_load(&m, configured->path, &options, err);
    models->models[models->count++] = m;
    int64_t loaded = clock_monotonic_ns();
    if (code == ERR_OK)
        code = check_memory(models, workers, m->path, err);
    if (code == ERR_OK)
        code = model_self_test(m, err);
    if (code != ERR_OK)
        return error_prefix(err, code, "model %s", configured->name);
    entry->info = info_of(m, configured);
    char kernels[NETWORK_SUMMARY_TEXT], cascade[CASCADE_TEXT];
    network_summary_text(&entry->info.kernels, kernels);
    cascade_text(&m->cascade, cascade);
    const struct log_field fields[] = {
        {.key = "model", .text = configured->name},
        {.key = "template", .text = m->template_name},
        {.key = "variant", .text = m->variant_is_assumed ? "assumed" : "known"},
        {.key = "precision", .text = entry->info.precision},
        {.key = "kernels", .text = kernels},
        {.key = "cascade", .text = cascade},
        {.key = "activation", .text = entry->info.activation},
        {.key = "labels", .text = entry->info.label_source},
        {.key = "path", .text = m->path},
        {.key = "load_ms", .number = clock_ns_to_ms(loaded - begin)},
        {.key = "self_test_ms", .number = clock_ns_to_ms(clock_monotonic_ns() - loaded)},
    };
    log_event(LOG_LEVEL_INFO, "model loaded", fields, sizeof fields / sizeof fields[0]);
    return ERR_OK;
}

/* Loads every model, self-test included, and counts the loads. To be closed also after a failure.
 */
static int open_models(struct model_set *models, const struct conf *conf, int workers,
                       struct metrics *metrics, struct error *err)
{
    *models = (struct model_set){0};
    struct kernel_isas isas;
    int code = select_isas(conf, &isas, err);
    if (code != ERR_OK)
        return code;
    models->models = calloc(conf->model_count, sizeof(const struct model *));
    models->entries = calloc(conf->model_count, sizeof *models->entries);
    if (!models->models || !models->entries)
        return error_set(err, ERR_NO_MEMORY, "no memory for %zu models", conf->model_count);
    for (size_t i = 0; i < conf->model_count; i++) {
        code = load_entry(models, &conf->models[i], isas, workers, err);
        size_t metric = metrics_model(metrics, conf->models[i].name);
        models->entries[i].info.metric = metric;
        metrics_add(metrics, COUNTER_model_loads, metric,
                    code == ERR_OK ? RESULT_OK : RESULT_FAILED, 0, 1);
        if (code != ERR_OK)
            return code;
        if (conf->models[i].is_default)
            models->default_index = i;
    }
    return ERR_OK;
}

static int check_models(const struct conf *conf, struct error *err)
{
    struct kernel_isas isas;
    int code = select_isas(conf, &isas, err);
    for (size_t i = 0; code == ERR_OK && i < conf->model_count; i++) {
        const struct model_options options = options_of(&conf->models[i], isas);
        code = model_check(conf->models[i].path, &options, err);
        if (code != ERR_OK)
            error_prefix(err, code, "model %s", conf->models[i].name);
    }
    return code;
}

static void close_models(struct model_set *models)
{
    for (size_t i = 0; i < models->count; i++)
        model_destroy((struct model *)models->models[i]);
    free(models->models);
    free(models->entries);
    *models = (struct model_set){0};
}

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
    return code == ERR_OK ? check_models(conf, err) : code;
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
        code = open_models(&g->models, conf, workers, metrics, err);
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
        code = model_check_memory(generation->models.models[i], more, err);
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
    close_models(&generation->models);
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

struct served_model *generation_entry(const struct generation *generation, size_t model)
{
    CHECK(model < generation->models.count);
    return &generation->models.entries[model];
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
    return &generation_entry(generation, index)->info;
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
