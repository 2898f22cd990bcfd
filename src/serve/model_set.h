/* The models of a generation, by name: read-only once loaded. Only serve sees this; http sees
 * struct model_info. */
#ifndef RESNEXT_SERVE_MODEL_SET_H
#define RESNEXT_SERVE_MODEL_SET_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "model/model.h"
#include "serve/metrics.h"
#include "serve/model_info.h"

struct served_model {
    struct model_info info;
    /* How long one picture takes a worker, see admission.h; negated while none is done. */
    _Atomic int64_t picture_ns;
};

struct model_set {
    const struct model **models;
    struct served_model *entries; /* what is known of each */
    size_t count;
    size_t default_index;
};

/* Loads every model of `conf`, self-test included, and counts the loads in `metrics`. The errors
 * are model_load's, prefixed with the model's name, and ERR_NO_MEMORY if so many workers would not
 * have the memory to run them. To be closed also after a failure. */
int model_set_open(struct model_set *models, const struct conf *conf, int workers,
                   struct metrics *metrics, struct error *err);
void model_set_close(struct model_set *models);

/* Checks what model_set_open would load, see model_check. The errors of model_set_open. */
int model_set_check(const struct conf *conf, struct error *err);

#endif
