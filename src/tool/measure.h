/* How long a network takes: batches through it, one worker a thread, each batch timed by itself. */
#ifndef RESNEXT_TOOL_MEASURE_H
#define RESNEXT_TOOL_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/session.h"
#include "tool/files.h"
#include "tool/peak.h"

/* A JPEG in memory. */
struct picture {
    const char *path;
    struct file_bytes bytes;
};

struct measure_options {
    int workers;              /* images (batches) at a time, at least 1 */
    int threads;              /* at least `workers`; those beyond them help. Not with `layers` */
    int batch;                /* images a batch, at least 1 */
    int64_t warmup;           /* batches of each worker before the clock counts */
    int64_t iterations;       /* batches of all workers; 0: as many as `duration_ns` allows */
    int64_t duration_ns;      /* ... but one at least of each worker */
    bool layers;              /* time each layer */
    struct picture *pictures; /* decoded in turn, as part of a batch; NULL: random pixels */
    size_t picture_count;
    struct preprocess_options preprocess; /* how they are decoded */
};

/* Nanoseconds of all workers together. */
struct layer_time {
    int64_t total_ns;
    int64_t min_ns; /* of one batch */
};

struct measure {
    int64_t *samples; /* [count] nanoseconds a batch, from its first JPEG byte or from its input */
    size_t count;
    double images_per_s; /* the sum over the workers of their images / their samples */
    int64_t decode_ns, preprocess_ns, inference_ns; /* sums over all samples */
    struct layer_time *layers;                      /* one a layer; NULL without `layers` */
};

/* Measures. `*out` is to be destroyed when ERR_OK is returned. ERR_NO_MEMORY, ERR_THREAD, or what
 * is wrong with a picture, its path before the message. */
int measure_run(const struct model *model, const struct measure_options *options,
                struct measure *out, struct error *err);
void measure_destroy(struct measure *measure);

/* The peak of as many threads at once, added up. ERR_NO_MEMORY, ERR_THREAD. */
int measure_peak(int threads, enum precision precision, struct fma_peak *out, struct error *err);

#endif
