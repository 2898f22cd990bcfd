/* Making editions and looking into them; only serve sees this. */
#ifndef RESNEXT_SERVE_EDITION_PARTS_H
#define RESNEXT_SERVE_EDITION_PARTS_H

#include "serve/catalog.h"
#include "serve/edition.h"
#include "serve/workbench.h"

/* Reads the keys and loads and tests the models; the benches are not made yet. Logs and counts the
 * loads. `conf` must outlive the edition. The errors of catalog_open and keys_read. `*out` has one
 * reference, the caller's. */
int edition_create(struct edition **out, const struct conf *conf, int workers,
                   struct metrics *metrics, struct error *err);

/* Whether its workers will have the address space that they need: ERR_NO_MEMORY. */
int edition_check_room(const struct edition *edition, struct error *err);

/* From now on the edition's conf, from malloc, goes with it. */
void edition_own_conf(struct edition *edition);

/* Makes the bench of one worker and runs every model once on it. Each one once, by any thread.
 * ERR_NO_MEMORY. */
int edition_warm(struct edition *edition, int worker, struct error *err);

const struct catalog *edition_catalog(const struct edition *edition);
struct workbench *edition_workbench(const struct edition *edition, int worker);

/* The lines of INFO_model_info, for metrics_set_info. Once. */
char **edition_take_info_lines(struct edition *edition);

#endif
