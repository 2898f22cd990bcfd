/* A generation: a configuration, its models and keys, and for each worker the memory to run the
 * models. It never changes. A reload makes the next generation while this one is in use, and then
 * replaces this one. Each user of a generation holds a reference, so a generation is freed when its
 * last request has ended. Any thread. */
#ifndef RESNEXT_SERVE_GENERATION_H
#define RESNEXT_SERVE_GENERATION_H

#include <stddef.h>

#include "base/error.h"
#include "conf/conf.h"
#include "conf/keys.h"
#include "serve/model_info.h"

struct generation;

/* Checks whether a generation can be made from a configuration, without reading the models'
 * weights: keys, kernels, model folders. The errors of server_start. */
int generation_check(const struct conf *conf, struct error *err);

/* Take and give up a reference. NULL is fine. */
void generation_reference(struct generation *generation);
void generation_release(struct generation *generation);

/* The configuration from which it was made. Options that take effect only at a restart
 * (options.def) may differ from those in effect. */
const struct conf *generation_conf(const struct generation *generation);

/* NULL: no keys are needed. */
const struct key_list *generation_keys(const struct generation *generation);

size_t generation_model_count(const struct generation *generation);
const struct model_info *generation_model(const struct generation *generation, size_t index);

/* Finds the index of the model `name`; NULL: of the default model. The message of ERR_MODEL_UNKNOWN
 * lists the models. */
int generation_find_model(const struct generation *generation, const char *name, size_t *index,
                          struct error *err);

#endif
