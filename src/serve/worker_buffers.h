/* A worker's buffers: the memory that it runs the models of one generation in, made before the
 * first request that needs it. One thread at a time. */
#ifndef RESNEXT_SERVE_WORKER_BUFFERS_H
#define RESNEXT_SERVE_WORKER_BUFFERS_H

#include <stdbool.h>
#include <stdint.h>

#include "serve/model_set.h"

struct worker_buffers {
    const struct model_set *models;
    struct workspace **workspaces;  /* one a model */
    uint8_t *rgb;                   /* space for the largest input */
    float *tensor;                  /* the same, as normalised numbers */
    struct prediction *predictions; /* space for the most classes */
};

/* The bytes of the buffers for the models that are loaded; false if they do not fit in a size_t. */
bool worker_buffers_bytes(const struct model_set *models, size_t *bytes);

/* ERR_NO_MEMORY. To be closed also after a failure. `models` must outlive it. */
int worker_buffers_open(struct worker_buffers *buffers, const struct model_set *models,
                        struct error *err);
void worker_buffers_close(struct worker_buffers *buffers);

/* What lies in buffers->rgb, or in buffers->tensor, becomes a model's input. The errors of
 * model_put_tensor. */
void worker_buffers_put_rgb(struct worker_buffers *buffers, size_t model);
int worker_buffers_put_tensor(struct worker_buffers *buffers, size_t model, struct error *err);

/* Runs every model, so that the first request finds pages and caches as the others do. */
void worker_buffers_warm_up(struct worker_buffers *buffers);

#endif
