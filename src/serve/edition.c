#include "serve/edition.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "conf/text.h"
#include "serve/edition_parts.h"

struct edition {
    atomic_int references;
    const struct conf *conf;
    bool owns_conf, has_keys;
    struct key_list keys;
    struct catalog catalog;
    int workers;
    struct workbench *benches; /* [WORKERS_MOST]; made are those of its workers at least */
    char **info_lines;         /* NULL-terminated; NULL once they are taken */
};

static int read_keys(struct edition *e, struct error *err)
{
    char path[PATH_MAX];
    if (!e->conf->api_keys)
        return ERR_OK;
    e->has_keys = true;
    int code = text_resolve(path, "api_keys", e->conf->api_keys, err);
    return code == ERR_OK ? keys_read(&e->keys, path, err) : code;
}

int edition_check(const struct conf *conf, struct error *err)
{
    struct edition scratch = {.conf = conf};
    int code = read_keys(&scratch, err);
    keys_free(&scratch.keys);
    return code == ERR_OK ? catalog_check(conf, err) : code;
}

static int make_info_lines(struct edition *e, struct error *err)
{
    e->info_lines = calloc(e->catalog.count + 1, sizeof *e->info_lines);
    for (size_t i = 0; e->info_lines && i < e->catalog.count; i++) {
        const struct model_info *info = &e->catalog.entries[i].info;
        const char *const labels[] = {
            "model",  info->name,   "template", info->template_name, "precision", info->precision,
            "sha256", info->sha256, NULL,
        };
        e->info_lines[i] = metrics_info_line(labels);
        if (!e->info_lines[i])
            return error_set(err, ERR_NO_MEMORY, "no memory for the metrics");
    }
    return e->info_lines ? ERR_OK : error_set(err, ERR_NO_MEMORY, "no memory for the metrics");
}

int edition_create(struct edition **out, const struct conf *conf, int workers,
                   struct metrics *metrics, struct error *err)
{
    struct edition *e = calloc(1, sizeof *e);
    if (!e)
        return error_set(err, ERR_NO_MEMORY, "no memory for the models");
    atomic_init(&e->references, 1);
    e->conf = conf;
    e->workers = workers;
    e->benches = calloc(WORKERS_MOST, sizeof *e->benches);
    int code =
        e->benches ? read_keys(e, err) : error_set(err, ERR_NO_MEMORY, "no memory for the workers");
    if (code == ERR_OK)
        code = catalog_open(&e->catalog, conf, workers, metrics, err);
    if (code == ERR_OK)
        code = make_info_lines(e, err);
    if (code != ERR_OK) {
        edition_release(e);
        return code;
    }
    *out = e;
    return ERR_OK;
}

int edition_workers(const struct edition *edition)
{
    return edition->workers;
}

int edition_check_room(const struct edition *edition, int more, struct error *err)
{
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < edition->catalog.count; i++)
        code = model_check_room(edition->catalog.entries[i].model, more, err);
    return code;
}

void edition_own_conf(struct edition *edition)
{
    edition->owns_conf = true;
}

int edition_make_bench(const struct edition *edition, int worker, struct error *err)
{
    CHECK(worker >= 0 && worker < WORKERS_MOST);
    struct workbench *bench = &edition->benches[worker];
    int code = bench->catalog ? ERR_OK : workbench_open(bench, &edition->catalog, err);
    if (code != ERR_OK)
        workbench_close(bench);
    return code;
}

int edition_warm(const struct edition *edition, int worker, struct error *err)
{
    int code = edition_make_bench(edition, worker, err);
    if (code == ERR_OK)
        workbench_warm_up(&edition->benches[worker]);
    return code;
}

void edition_reference(struct edition *edition)
{
    atomic_fetch_add_explicit(&edition->references, 1, memory_order_relaxed);
}

void edition_release(struct edition *edition)
{
    if (!edition || atomic_fetch_sub_explicit(&edition->references, 1, memory_order_acq_rel) > 1)
        return;
    for (int i = 0; edition->benches && i < WORKERS_MOST; i++)
        workbench_close(&edition->benches[i]);
    free(edition->benches);
    metrics_free_lines(edition->info_lines);
    catalog_close(&edition->catalog);
    keys_free(&edition->keys);
    if (edition->owns_conf) {
        struct conf *conf = (struct conf *)edition->conf;
        conf_free(conf);
        free(conf);
    }
    free(edition);
}

const struct conf *edition_conf(const struct edition *edition)
{
    return edition->conf;
}

const struct key_list *edition_keys(const struct edition *edition)
{
    return edition->has_keys ? &edition->keys : NULL;
}

const struct catalog *edition_catalog(const struct edition *edition)
{
    return &edition->catalog;
}

struct workbench *edition_workbench(const struct edition *edition, int worker)
{
    CHECK(worker >= 0 && worker < WORKERS_MOST);
    struct workbench *bench = &edition->benches[worker];
    return bench->catalog ? bench : NULL;
}

size_t edition_model_count(const struct edition *edition)
{
    return edition->catalog.count;
}

const struct model_info *edition_model(const struct edition *edition, size_t index)
{
    CHECK(index < edition->catalog.count);
    return &edition->catalog.entries[index].info;
}

int edition_find_model(const struct edition *edition, const char *name, size_t *index,
                       struct error *err)
{
    const struct catalog *catalog = &edition->catalog;
    *index = catalog->default_index;
    if (!name)
        return ERR_OK;
    char known[256] = "";
    size_t length = 0;
    for (size_t i = 0; i < catalog->count; i++) {
        if (strcmp(catalog->entries[i].info.name, name) == 0) {
            *index = i;
            return ERR_OK;
        }
        int n = snprintf(known + length, sizeof known - length, "%s%s", i ? ", " : "",
                         catalog->entries[i].info.name);
        length = length + (size_t)n < sizeof known ? length + (size_t)n : sizeof known - 1;
    }
    return error_set(err, ERR_MODEL_UNKNOWN, "no model \"%.64s\" is loaded; there is: %s", name,
                     known);
}

char **edition_take_info_lines(struct edition *edition)
{
    char **lines = edition->info_lines;
    edition->info_lines = NULL;
    return lines;
}
