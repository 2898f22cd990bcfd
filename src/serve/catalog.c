#include "serve/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

static int load_entry(struct catalog_entry *entry, const struct conf_model *configured,
                      struct kernel_ladder ladder, struct error *err)
{
    int64_t begin = clock_monotonic_ns();
    int code = model_load(&entry->model, configured->path, ladder, err);
    int64_t loaded = clock_monotonic_ns();
    if (code == ERR_OK)
        code = model_self_test(entry->model, err);
    if (code != ERR_OK)
        return error_prefix(err, code, "model %s", configured->name);
    const struct model *m = entry->model;
    entry->info = (struct model_info){
        .name = configured->name,
        .path = m->path,
        .template_name = m->template_name,
        .precision = m->precision,
        .sha256 = m->sha256,
        .classes = m->classes,
        .input_size = m->preprocess.size,
        .parameters = m->parameters,
        .multiply_adds = m->multiply_adds,
        .is_default = configured->is_default,
    };
    const struct log_field fields[] = {
        {.key = "model", .text = configured->name},
        {.key = "template", .text = m->template_name},
        {.key = "path", .text = m->path},
        {.key = "load_ms", .number = clock_ns_to_ms(loaded - begin)},
        {.key = "self_test_ms", .number = clock_ns_to_ms(clock_monotonic_ns() - loaded)},
    };
    log_event(LOG_LEVEL_INFO, "model loaded", fields, sizeof fields / sizeof fields[0]);
    return ERR_OK;
}

static int describe_entry(const struct model_info *info, struct metrics *metrics, struct error *err)
{
    const char *const labels[] = {
        "model",  info->name,   "template", info->template_name, "precision", info->precision,
        "sha256", info->sha256, NULL,
    };
    return metrics_info(metrics, INFO_model_info, labels, err);
}

int catalog_open(struct catalog *catalog, const struct conf *conf, struct metrics *metrics,
                 struct error *err)
{
    *catalog = (struct catalog){0};
    struct kernel_ladder ladder;
    const char *isa = conf_choice("isa", conf->isa);
    if (!kernel_ladder_select(isa, &ladder))
        return error_set(err, ERR_CPU, "this machine cannot run isa = %s; use isa = auto", isa);
    log_info("kernels: %s on %s", kernel_ladder_name(ladder), kernel_blas_core());
    catalog->entries = calloc(conf->model_count, sizeof *catalog->entries);
    if (!catalog->entries)
        return error_set(err, ERR_NO_MEMORY, "no memory for %zu models", conf->model_count);
    for (size_t i = 0; i < conf->model_count; i++) {
        int code = load_entry(&catalog->entries[i], &conf->models[i], ladder, err);
        catalog->count++;
        metrics_add(metrics, COUNTER_model_loads, i, code == ERR_OK ? RESULT_OK : RESULT_FAILED, 0,
                    1);
        if (code == ERR_OK)
            code = describe_entry(&catalog->entries[i].info, metrics, err);
        if (code != ERR_OK)
            return code;
        if (conf->models[i].is_default)
            catalog->default_index = i;
    }
    return ERR_OK;
}

void catalog_close(struct catalog *catalog)
{
    for (size_t i = 0; i < catalog->count; i++)
        model_destroy(catalog->entries[i].model);
    free(catalog->entries);
    *catalog = (struct catalog){0};
}
