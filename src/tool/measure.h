/* Measures the speed of a network. Each worker is a thread that runs batches and times each one. */
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
    int workers;              /* batches at a time, at least 1 */
    int threads;              /* at least `workers`, equal with `layers`; the others help workers */
    int batch;                /* images per batch, at least 1 */
    int64_t warmup;           /* batches of each worker that are not measured */
    int64_t iterations;       /* batches of all workers; 0: measure for `duration_ns` */
    int64_t duration_ns;      /* each worker runs at least one batch */
    bool layers;              /* time each layer */
    struct picture *pictures; /* decoded in turn as part of batches; NULL: random pixels */
    size_t picture_count;
    struct preprocess_options preprocess; /* how they are decoded */
};

/* The time of one layer, over all workers. */
struct layer_time {
    int64_t total_ns;
    int64_t min_ns; /* of one batch */
};

struct measure {
    int64_t *samples; /* [count] nanoseconds of each batch, with decoding */
    size_t count;
    double images_per_s; /* sum over workers of images / time in batches */
    int64_t decode_ns, preprocess_ns, inference_ns; /* sums over all samples */
    struct layer_time *layers;                      /* one a layer; NULL without `layers` */
};

/* Runs a measurement. After ERR_OK the caller destroys `*out`. ERR_NO_MEMORY, ERR_THREAD, or the
 * error of a picture, with its path before the message. */
int measure_run(const struct model *model, const struct measure_options *options,
                struct measure *out, struct error *err);
void measure_destroy(struct measure *measure);

/* Adds up peak_measure on `threads` threads at once. ERR_NO_MEMORY, ERR_THREAD. */
int measure_peak(int threads, enum precision precision, struct fma_peak *out, struct error *err);

#endif
