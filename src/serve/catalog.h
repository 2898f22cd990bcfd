/* The models that are served, by name. Loaded before any thread, read-only afterwards. Only serve
 * sees this; http sees struct model_info of server.h. */
#ifndef RESNEXT_SERVE_CATALOG_H
#define RESNEXT_SERVE_CATALOG_H

#include <stddef.h>

#include "conf/conf.h"
#include "model/model.h"
#include "serve/metrics.h"
#include "serve/server.h"

struct catalog_entry {
    struct model *model;
    struct model_info info;
};

struct catalog {
    struct catalog_entry *entries;
    size_t count;
    size_t default_index;
};

/* Loads every model of `conf`, self-test included, and counts the loads in `metrics`. The errors
 * are model_load's, prefixed with the model's name. Harmless to close after a failure. */
int catalog_open(struct catalog *catalog, const struct conf *conf, struct metrics *metrics,
                 struct error *err);
void catalog_close(struct catalog *catalog);

#endif
