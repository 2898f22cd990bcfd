/* Making generations and looking into them; only serve sees this. */
#ifndef RESNEXT_SERVE_GENERATION_PARTS_H
#define RESNEXT_SERVE_GENERATION_PARTS_H

#include "model/session.h"
#include "serve/admission.h"
#include "serve/generation.h"
#include "serve/metrics.h"

/* Workers that there can be: the most of option `workers`, and of CPUs that an affinity has. */
enum { WORKERS_MAX = 1024 };

/* Reads the keys and loads and tests the models; no worker has sessions yet. Logs and counts the
 * loads. `conf` must outlive the generation. The errors of keys_read, those of model_load, which
 * name the model, and ERR_NO_MEMORY if so many workers would not have the memory to run the models.
 * `*out` has one reference, the caller's. */
int generation_create(struct generation **out, const struct conf *conf, int workers,
                      struct metrics *metrics, struct error *err);

/* How many workers it was made for. */
int generation_workers(const struct generation *generation);

/* Whether so many more workers (at least 1) will have the address space that they need:
 * ERR_NO_MEMORY. */
int generation_check_memory(const struct generation *generation, int more, struct error *err);

/* From now on the generation's conf, from malloc, goes with it. */
void generation_own_conf(struct generation *generation);

/* Makes the sessions of one worker, one a model, unless they are there. Until the generation is in
 * use, any thread; then the worker itself: it may take a request of a generation that was made for
 * fewer. ERR_NO_MEMORY. */
int generation_make_sessions(const struct generation *generation, int worker, struct error *err);

/* The same, and runs every model once, before the generation is in use. ERR_NO_MEMORY. */
int generation_warm(const struct generation *generation, int worker, struct error *err);

/* What is known of a model. */
struct served_model *generation_entry(const struct generation *generation, size_t model);

/* Worker `worker`'s with model `model`; NULL: it has none. The worker itself. */
struct session *generation_session(const struct generation *generation, int worker, size_t model);

/* The lines of INFO_model_info, for metrics_set_info. Once. */
char **generation_take_info_lines(struct generation *generation);

#endif
