/* A worker's workbench: the memory that it runs the models of one edition in, made before the first
 * request that needs it. One thread at a time. */
#ifndef RESNEXT_SERVE_WORKBENCH_H
#define RESNEXT_SERVE_WORKBENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "serve/catalog.h"

struct workbench {
    const struct catalog *catalog;
    struct workspace **workspaces;  /* one a model */
    uint8_t *rgb;                   /* room for the largest input */
    float *tensor;                  /* the same, as normalised numbers */
    struct prediction *predictions; /* room for the most classes */
};

/* The bytes of a bench for the models that are loaded; false if they do not fit in a size_t. */
bool workbench_bytes(const struct catalog *catalog, size_t *bytes);

/* ERR_NO_MEMORY. To be closed also after a failure. `catalog` must outlive it. */
int workbench_open(struct workbench *bench, const struct catalog *catalog, struct error *err);
void workbench_close(struct workbench *bench);

/* What lies in bench->rgb, or in bench->tensor, becomes a model's input. The errors of
 * model_put_tensor. */
void workbench_put_rgb(struct workbench *bench, size_t model);
int workbench_put_tensor(struct workbench *bench, size_t model, struct error *err);

/* Runs every model, so that the first request finds pages and caches as the others do. */
void workbench_warm_up(struct workbench *bench);

#endif
