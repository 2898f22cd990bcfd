#include "serve/metrics.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/size.h"
#include "serve/metrics_table.h"

const double metrics_bucket_bounds[BUCKET_COUNT - 1] = {
    0.00005, 0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
};

const struct metrics_counter metrics_counters[COUNTER_COUNT] = {
#define COUNTER(id, name, first, second, third, help)                                              \
    {name, help, {DIMENSION_##first, DIMENSION_##second, DIMENSION_##third}},
#include "serve/metrics.def"
};

const struct metrics_histogram metrics_histograms[HISTOGRAM_COUNT] = {
#define HISTOGRAM(id, name, label, help) {name, help, DIMENSION_##label},
#include "serve/metrics.def"
};

static const char *const stage_names[STAGE_COUNT] = {
    [STAGE_QUEUE] = "queue",         [STAGE_DECODE] = "decode", [STAGE_PREPROCESS] = "preprocess",
    [STAGE_INFERENCE] = "inference", [STAGE_ENCODE] = "encode",
};

/* Those that no error has. */
static const char *const reason_names[REASON_COUNT] = {
    [REASON_CLIENT_DEADLINE] = "client_deadline",
    [REASON_SLOW_READER] = "slow_reader",
    [REASON_CONNECTIONS] = "connections",
};

static const char *const result_names[RESULT_COUNT] = {
    [RESULT_OK] = "ok",
    [RESULT_FAILED] = "failed",
};

static bool dimension_add(struct dimension_values *d, const char *value)
{
    char **values = realloc(d->values, (d->count + 1) * sizeof *values);
    if (!values)
        return false;
    d->values = values;
    d->values[d->count] = strdup(value);
    return d->values[d->count] && ++d->count;
}

static bool dimension_fill(struct dimension_values *d, const char *key, const char *const *values,
                           size_t count)
{
    d->key = key;
    for (size_t i = 0; i < count; i++)
        if (!dimension_add(d, values[i]))
            return false;
    return true;
}

/* Values that get their names later, or none. */
static bool dimension_reserve(struct dimension_values *d, const char *key, size_t count)
{
    d->key = key;
    d->values = calloc(count, sizeof *d->values);
    d->count = d->values ? count : 0;
    return d->values;
}

static bool fill_reasons(struct dimension_values *d)
{
    if (!dimension_reserve(d, "reason", REASON_COUNT))
        return false;
    for (int i = 0; i < REASON_COUNT; i++) {
        const char *name = i < ERR_COUNT ? error_reason(-1 - i) : reason_names[i];
        if (name && !(d->values[i] = strdup(name)))
            return false;
    }
    return true;
}

static bool known_code(const struct metrics *m, int status)
{
    for (size_t i = 0; i < m->code_count; i++)
        if (m->codes[i] == status)
            return true;
    return false;
}

static bool fill_codes(struct metrics *m)
{
    struct dimension_values *d = &m->dimensions[DIMENSION_CODE];
    d->key = "code";
    m->codes[m->code_count++] = 200;
    m->codes[m->code_count++] = 204;
    m->codes[m->code_count++] = 304;
    for (int i = 0; i < ERR_COUNT; i++)
        if (!known_code(m, error_status(-1 - i)))
            m->codes[m->code_count++] = error_status(-1 - i);
    for (size_t i = 0; i < m->code_count; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", m->codes[i]);
        if (!dimension_add(d, text))
            return false;
    }
    return dimension_add(d, "other");
}

static bool fill_dimensions(struct metrics *m, const char *const *endpoints, size_t endpoint_count)
{
    struct dimension_values *d = m->dimensions;
    const char *none = "";
    return dimension_fill(&d[DIMENSION_NONE], NULL, &none, 1) &&
           dimension_fill(&d[DIMENSION_ENDPOINT], "endpoint", endpoints, endpoint_count) &&
           dimension_add(&d[DIMENSION_ENDPOINT], "other") &&
           dimension_reserve(&d[DIMENSION_MODEL], "model", METRICS_MODELS_MAX) &&
           dimension_add(&d[DIMENSION_MODEL], "other") && dimension_add(&d[DIMENSION_MODEL], "") &&
           dimension_fill(&d[DIMENSION_STAGE], "stage", stage_names, STAGE_COUNT) &&
           fill_reasons(&d[DIMENSION_REASON]) &&
           dimension_fill(&d[DIMENSION_RESULT], "result", result_names, RESULT_COUNT) &&
           fill_codes(m);
}

static bool allocate_cells(struct metrics *m)
{
    for (size_t id = 0; id < COUNTER_COUNT; id++) {
        size_t cells = 1;
        for (int i = 0; i < LABELS_MAX; i++)
            cells *= m->dimensions[metrics_counters[id].labels[i]].count;
        m->counters[id] = calloc(cells, sizeof *m->counters[id]);
        if (!m->counters[id])
            return false;
    }
    for (size_t id = 0; id < HISTOGRAM_COUNT; id++) {
        size_t cells = m->dimensions[metrics_histograms[id].label].count;
        m->histograms[id] = calloc(cells, sizeof *m->histograms[id]);
        if (!m->histograms[id])
            return false;
    }
    return true;
}

int metrics_create(struct metrics **out, const char *const *endpoints, size_t endpoint_count,
                   struct error *err)
{
    struct metrics *m = calloc(1, sizeof *m);
    if (m)
        pthread_mutex_init(&m->lock, NULL);
    if (!m || !fill_dimensions(m, endpoints, endpoint_count) || !allocate_cells(m)) {
        metrics_destroy(m);
        return error_set(err, ERR_NO_MEMORY, "no memory for the metrics");
    }
    *out = m;
    return ERR_OK;
}

void metrics_free_lines(char **lines)
{
    for (char **line = lines; line && *line; line++)
        free(*line);
    free(lines);
}

void metrics_destroy(struct metrics *m)
{
    if (!m)
        return;
    for (size_t d = 0; d < DIMENSION_COUNT; d++) {
        for (size_t i = 0; i < m->dimensions[d].count; i++)
            free(m->dimensions[d].values[i]);
        free(m->dimensions[d].values);
    }
    for (size_t id = 0; id < COUNTER_COUNT; id++)
        free(m->counters[id]);
    for (size_t id = 0; id < HISTOGRAM_COUNT; id++)
        free(m->histograms[id]);
    for (size_t id = 0; id < INFO_COUNT; id++)
        metrics_free_lines(m->info_lines[id]);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

size_t metrics_code(const struct metrics *m, int status)
{
    size_t i = 0;
    while (i < m->code_count && m->codes[i] != status)
        i++;
    return i;
}

size_t metrics_model(struct metrics *m, const char *name)
{
    char **names = m->dimensions[DIMENSION_MODEL].values;
    size_t i = 0;
    pthread_mutex_lock(&m->lock);
    while (i < METRICS_MODELS_MAX && names[i] && strcmp(names[i], name) != 0)
        i++;
    if (i < METRICS_MODELS_MAX && !names[i])
        names[i] = strdup(name);
    if (i < METRICS_MODELS_MAX && !names[i])
        i = METRICS_MODELS_MAX;
    pthread_mutex_unlock(&m->lock);
    return i;
}

size_t metrics_no_model(const struct metrics *m)
{
    return m->dimensions[DIMENSION_MODEL].count - 1;
}

size_t metrics_no_endpoint(const struct metrics *m)
{
    return m->dimensions[DIMENSION_ENDPOINT].count - 1;
}

void metrics_add(struct metrics *m, enum metric_counter id, size_t i, size_t j, size_t k,
                 uint64_t n)
{
    const enum dimension *labels = metrics_counters[id].labels;
    size_t second = m->dimensions[labels[1]].count, third = m->dimensions[labels[2]].count;
    CHECK(i < m->dimensions[labels[0]].count && j < second && k < third);
    atomic_fetch_add_explicit(&m->counters[id][(i * second + j) * third + k], n,
                              memory_order_relaxed);
}

void metrics_reject(struct metrics *m, int code)
{
    if (error_reason(code))
        metrics_add(m, COUNTER_rejected, (size_t)(-1 - code), 0, 0, 1);
}

void metrics_observe(struct metrics *m, enum metric_histogram id, size_t i, int64_t ns)
{
    CHECK(i < m->dimensions[metrics_histograms[id].label].count && ns >= 0);
    struct histogram_cell *cell = &m->histograms[id][i];
    size_t bucket = 0;
    while (bucket < BUCKET_COUNT - 1 && clock_ns_to_s(ns) > metrics_bucket_bounds[bucket])
        bucket++;
    atomic_fetch_add_explicit(&cell->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&cell->sum_ns, (uint64_t)ns, memory_order_relaxed);
}

void metrics_set_info(struct metrics *m, enum metric_info id, char **lines)
{
    pthread_mutex_lock(&m->lock);
    char **old = m->info_lines[id];
    m->info_lines[id] = lines;
    pthread_mutex_unlock(&m->lock);
    metrics_free_lines(old);
}
