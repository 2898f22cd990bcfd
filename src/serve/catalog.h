/* The models of an edition, by name: read-only once loaded. Only serve sees this; http sees struct
 * model_info of edition.h. */
#ifndef RESNEXT_SERVE_CATALOG_H
#define RESNEXT_SERVE_CATALOG_H

#include <stdatomic.h>
#include <stddef.h>

#include "conf/conf.h"
#include "model/model.h"
#include "serve/edition.h"
#include "serve/metrics.h"

struct catalog_entry {
    struct model *model;
    struct model_info info;
    /* How long one picture takes a worker, see admission.h; negated while none is done. */
    _Atomic int64_t picture_ns;
};

struct catalog {
    struct catalog_entry *entries;
    size_t count;
    size_t default_index;
};

/* Loads every model of `conf`, self-test included, and counts the loads in `metrics`. The errors
 * are model_load's, prefixed with the model's name, and ERR_NO_MEMORY if so many workers would not
 * have the memory to run them. To be closed also after a failure. */
int catalog_open(struct catalog *catalog, const struct conf *conf, int workers,
                 struct metrics *metrics, struct error *err);
void catalog_close(struct catalog *catalog);

/* Checks what catalog_open would load, see model_check. The errors of catalog_open. */
int catalog_check(const struct conf *conf, struct error *err);

#endif
