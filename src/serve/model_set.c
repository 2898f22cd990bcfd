#include "serve/model_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/size.h"
#include "model/session.h"

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
    entry->info = (struct model_info){
        .name = configured->name,
        .path = m->path,
        .template_name = m->template_name,
        .precision = precision_name(m->precision),
        .kernels = network_kernels(m->network),
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
    char kernels[NETWORK_SUMMARY_TEXT];
    network_summary_text(&entry->info.kernels, kernels);
    const struct log_field fields[] = {
        {.key = "model", .text = configured->name},
        {.key = "template", .text = m->template_name},
        {.key = "precision", .text = entry->info.precision},
        {.key = "kernels", .text = kernels},
        {.key = "activation", .text = entry->info.activation},
        {.key = "labels", .text = entry->info.label_source},
        {.key = "path", .text = m->path},
        {.key = "load_ms", .number = clock_ns_to_ms(loaded - begin)},
        {.key = "self_test_ms", .number = clock_ns_to_ms(clock_monotonic_ns() - loaded)},
    };
    log_event(LOG_LEVEL_INFO, "model loaded", fields, sizeof fields / sizeof fields[0]);
    return ERR_OK;
}

int model_set_open(struct model_set *models, const struct conf *conf, int workers,
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

int model_set_check(const struct conf *conf, struct error *err)
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

void model_set_close(struct model_set *models)
{
    for (size_t i = 0; i < models->count; i++)
        model_destroy((struct model *)models->models[i]);
    free(models->models);
    free(models->entries);
    *models = (struct model_set){0};
}
