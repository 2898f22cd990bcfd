/* What metrics.c counts in and exposition.c writes out; nobody else includes this. */
#ifndef RESNEXT_SERVE_METRICS_TABLE_H
#define RESNEXT_SERVE_METRICS_TABLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "serve/metrics.h"

enum dimension {
    DIMENSION_NONE,
    DIMENSION_ENDPOINT,
    DIMENSION_MODEL,
    DIMENSION_CODE,
    DIMENSION_STAGE,
    DIMENSION_REASON,
    DIMENSION_RESULT,
    DIMENSION_COUNT,
};

enum { LABELS_MAX = 3, BUCKET_COUNT = 17 };

/* Upper ends of the buckets but the last, in seconds. */
extern const double metrics_bucket_bounds[BUCKET_COUNT - 1];

struct metrics_counter {
    const char *name, *help;
    enum dimension labels[LABELS_MAX];
};
struct metrics_histogram {
    const char *name, *help;
    enum dimension label;
};
extern const struct metrics_counter metrics_counters[COUNTER_COUNT];
extern const struct metrics_histogram metrics_histograms[HISTOGRAM_COUNT];

/* The values of one label. */
struct dimension_values {
    const char *key;
    char **values; /* NULL: not in use, or not yet (models) */
    size_t count;
};

struct histogram_cell {
    atomic_uint_fast64_t buckets[BUCKET_COUNT]; /* not cumulative; the last one is +Inf */
    atomic_uint_fast64_t sum_ns;
};

struct metrics {
    struct dimension_values dimensions[DIMENSION_COUNT];
    int codes[ERR_COUNT + 3]; /* HTTP status of each CODE but "other" */
    size_t code_count;
    atomic_uint_fast64_t *counters[COUNTER_COUNT];
    struct histogram_cell *histograms[HISTOGRAM_COUNT];
    pthread_mutex_t lock;          /* of info_lines, and of names of models that are added */
    char **info_lines[INFO_COUNT]; /* NULL-terminated */
};

#endif
