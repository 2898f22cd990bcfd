/* The metrics of metrics.def and their exposition in Prometheus' text format, version 0.0.4.
 * Counting is a relaxed atomic addition: any thread, no lock. */
#ifndef RESNEXT_SERVE_METRICS_H
#define RESNEXT_SERVE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum metric_counter {
#define COUNTER(id, name, first, second, third, help) COUNTER_##id,
#include "serve/metrics.def"
    COUNTER_COUNT
};

enum metric_histogram {
#define HISTOGRAM(id, name, label, help) HISTOGRAM_##id,
#include "serve/metrics.def"
    HISTOGRAM_COUNT
};

enum metric_gauge {
#define GAUGE(id, name, type, help) GAUGE_##id,
#include "serve/metrics.def"
    GAUGE_COUNT
};

enum metric_info {
#define INFO(id, name, help) INFO_##id,
#include "serve/metrics.def"
    INFO_COUNT
};

/* Stages of a request: DIMENSION_STAGE. */
enum metric_stage {
    STAGE_QUEUE,
    STAGE_DECODE,
    STAGE_PREPROCESS,
    STAGE_INFERENCE,
    STAGE_ENCODE,
    STAGE_COUNT,
};

/* Why a request or connection was refused: DIMENSION_REASON. The first ERR_COUNT are those of
 * errors.def. */
enum metric_reason {
    REASON_CLIENT_DEADLINE = ERR_COUNT,
    REASON_SLOW_READER,
    REASON_CONNECTIONS,
    REASON_COUNT,
};

/* Results of loading a model: DIMENSION_RESULT. */
enum metric_result { RESULT_OK, RESULT_FAILED, RESULT_COUNT };

/* The number of model names told apart in the life of a process; all others are "other". */
enum { METRICS_MODELS_MAX = 64 };

struct metrics;

/* Makes the counters. `endpoints`, which are copied, are the values of the label `endpoint`:
 * metrics_add takes their indices, and `endpoint_count` for "other". ERR_NO_MEMORY. `*out` belongs
 * to the caller. */
int metrics_create(struct metrics **out, const char *const *endpoints, size_t endpoint_count,
                   struct error *err);
void metrics_destroy(struct metrics *m);

/* The index for an HTTP status in the dimension CODE: 200 or one of errors.def, else "other". */
size_t metrics_code(const struct metrics *m, int status);

/* The index of a model's name in the dimension MODEL; a new name is added. Any thread. */
size_t metrics_model(struct metrics *m, const char *name);

/* The index of "no model", an empty label, in the dimension MODEL, and that of "other" in the
 * dimension ENDPOINT. */
size_t metrics_no_model(const struct metrics *m);
size_t metrics_no_endpoint(const struct metrics *m);

/* Adds to a counter; i, j, k index its labels, 0 where it has none. */
void metrics_add(struct metrics *m, enum metric_counter id, size_t i, size_t j, size_t k,
                 uint64_t n);

/* Counts a refusal with an error, if errors.def has a reason for it. */
void metrics_reject(struct metrics *m, int code);

/* Counts one duration. */
void metrics_observe(struct metrics *m, enum metric_histogram id, size_t i, int64_t ns);

/* One line of an INFO metric; `labels` are pairs of key and value, ended by NULL. Owned by the
 * caller (free); NULL without memory. */
char *metrics_info_line(const char *const *labels);

/* Frees a list of lines that ends with NULL. */
void metrics_free_lines(char **lines);

/* Replaces all lines of an INFO metric by `lines`, ended by NULL, and takes them over. Any thread.
 */
void metrics_set_info(struct metrics *m, enum metric_info id, char **lines);

/* The exposition. `gauges` has GAUGE_COUNT values; NaN leaves a gauge out. Owned by the caller
 * (free); NULL without memory. Any thread. */
char *metrics_render(struct metrics *m, const double *gauges, size_t *length);

/* Fills the gauges of the process_* family; those that cannot be read become NaN. */
void metrics_process(double *gauges);

#endif
