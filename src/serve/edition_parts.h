/* Making editions and looking into them; only serve sees this. */
#ifndef RESNEXT_SERVE_EDITION_PARTS_H
#define RESNEXT_SERVE_EDITION_PARTS_H

#include "serve/catalog.h"
#include "serve/edition.h"
#include "serve/workbench.h"

/* Workers that there can be: the most of option `workers`, and of CPUs that an affinity has. */
enum { WORKERS_MOST = 1024 };

/* Reads the keys and loads and tests the models; the benches are not made yet. Logs and counts the
 * loads. `conf` must outlive the edition. The errors of catalog_open and keys_read. `*out` has one
 * reference, the caller's. */
int edition_create(struct edition **out, const struct conf *conf, int workers,
                   struct metrics *metrics, struct error *err);

/* How many workers it was made for. */
int edition_workers(const struct edition *edition);

/* Whether so many more workers (at least 1) will have the address space that they need:
 * ERR_NO_MEMORY. */
int edition_check_room(const struct edition *edition, int more, struct error *err);

/* From now on the edition's conf, from malloc, goes with it. */
void edition_own_conf(struct edition *edition);

/* Makes the bench of one worker unless it is there. Until the edition is in use, any thread; then
 * the worker itself: it may take a request of an edition that was made for fewer. ERR_NO_MEMORY. */
int edition_make_bench(const struct edition *edition, int worker, struct error *err);

/* Makes the bench of one worker and runs every model once on it, before the edition is in use.
 * ERR_NO_MEMORY. */
int edition_warm(const struct edition *edition, int worker, struct error *err);

const struct catalog *edition_catalog(const struct edition *edition);

/* NULL: there is none. The worker itself. */
struct workbench *edition_workbench(const struct edition *edition, int worker);

/* The lines of INFO_model_info, for metrics_set_info. Once. */
char **edition_take_info_lines(struct edition *edition);

#endif
