/* Making generations and access to their parts; only serve includes this. */
#ifndef RESNEXT_SERVE_GENERATION_PARTS_H
#define RESNEXT_SERVE_GENERATION_PARTS_H

#include "model/session.h"
#include "serve/admission.h"
#include "serve/generation.h"
#include "serve/metrics.h"

/* The greatest number of workers: the maximum of option `workers`, and of CPUs in an affinity mask.
 */
enum { WORKERS_MAX = 1024 };

/* Reads the keys and loads and tests the models; no worker has sessions yet. Logs and counts the
 * loads. `conf` must outlive the generation. The errors of keys_read and, with the model's name, of
 * model_load; ERR_NO_MEMORY if this many workers would not have the memory to run the models.
 * `*out` has one reference, the caller's. */
int generation_create(struct generation **out, const struct conf *conf, int workers,
                      struct metrics *metrics, struct error *err);

/* How many workers it was made for. */
int generation_workers(const struct generation *generation);

/* Checks that `more` (at least 1) additional workers will have the address space they need:
 * ERR_NO_MEMORY. */
int generation_check_memory(const struct generation *generation, int more, struct error *err);

/* The generation owns its conf, which is from malloc, from now on. */
void generation_own_conf(struct generation *generation);

/* Makes the sessions of one worker, one for each model, unless they exist. Any thread until the
 * generation is in use; after that the worker itself, which may get a request of a generation made
 * for fewer workers. ERR_NO_MEMORY. */
int generation_make_sessions(const struct generation *generation, int worker, struct error *err);

/* Does the same and runs every model once, before the generation is in use. ERR_NO_MEMORY. */
int generation_warm(const struct generation *generation, int worker, struct error *err);

/* The entry of a model. */
struct served_model *generation_entry(const struct generation *generation, size_t model);

/* The session of a worker with a model; NULL: there is none. The worker itself. */
struct session *generation_session(const struct generation *generation, int worker, size_t model);

/* Takes the lines of INFO_model_info out, for metrics_set_info. Once. */
char **generation_take_info_lines(struct generation *generation);

#endif
