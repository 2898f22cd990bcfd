#include "serve/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/clock.h"

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
static const double bucket_bounds[BUCKET_COUNT - 1] = {
    0.00005, 0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
};

static const struct {
    const char *name, *help;
    enum dimension labels[LABELS_MAX];
} counter_table[COUNTER_COUNT] = {
#define COUNTER(id, name, first, second, third, help)                                              \
    {name, help, {DIMENSION_##first, DIMENSION_##second, DIMENSION_##third}},
#include "serve/metrics.def"
};

static const struct {
    const char *name, *help;
    enum dimension label;
} histogram_table[HISTOGRAM_COUNT] = {
#define HISTOGRAM(id, name, label, help) {name, help, DIMENSION_##label},
#include "serve/metrics.def"
};

static const struct {
    const char *name, *type, *help;
} gauge_table[] = {
#define GAUGE(id, name, type, help) {name, type, help},
#include "serve/metrics.def"
};

static const struct {
    const char *name, *help;
} info_table[] = {
#define INFO(id, name, help) {name, help},
#include "serve/metrics.def"
};

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

static bool fill_codes(struct metrics *m)
{
    struct dimension_values *d = &m->dimensions[DIMENSION_CODE];
    d->key = "code";
    m->codes[m->code_count++] = 200;
    m->codes[m->code_count++] = 204;
    m->codes[m->code_count++] = 304;
    for (int i = 0; i < ERR_COUNT; i++)
        if (metrics_code(m, error_status(-1 - i)) == m->code_count)
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
            cells *= m->dimensions[counter_table[id].labels[i]].count;
        m->counters[id] = calloc(cells, sizeof *m->counters[id]);
        if (!m->counters[id])
            return false;
    }
    for (size_t id = 0; id < HISTOGRAM_COUNT; id++) {
        size_t cells = m->dimensions[histogram_table[id].label].count;
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
    const enum dimension *labels = counter_table[id].labels;
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
    CHECK(i < m->dimensions[histogram_table[id].label].count && ns >= 0);
    struct histogram_cell *cell = &m->histograms[id][i];
    size_t bucket = 0;
    while (bucket < BUCKET_COUNT - 1 && clock_ns_to_s(ns) > bucket_bounds[bucket])
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

/* --- the exposition --- */

static void put_label(FILE *f, const char *separator, const char *key, const char *value)
{
    fprintf(f, "%s%s=\"", separator, key);
    for (; *value; value++) {
        if (*value == '\n')
            fputs("\\n", f);
        else if (*value == '"' || *value == '\\')
            fprintf(f, "\\%c", *value);
        else
            fputc(*value, f);
    }
    fputc('"', f);
}

char *metrics_info_line(const char *const *labels)
{
    char *line = NULL;
    size_t length;
    FILE *f = open_memstream(&line, &length);
    if (!f)
        return NULL;
    for (size_t i = 0; labels[i]; i += 2)
        put_label(f, i ? "," : "", labels[i], labels[i + 1]);
    fclose(f);
    return line;
}

static void put_head(FILE *f, const char *name, const char *type, const char *help)
{
    fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Series at zero are shown, so that rates see their first event, unless that would be a matrix of
 * what never happens, or it has a catch-all label. */
static bool is_shown(uint64_t n, const struct dimension_values *const *d, const size_t *at)
{
    bool catch_all = false;
    for (int i = 0; i < LABELS_MAX; i++) {
        const char *value = d[i]->values[at[i]];
        catch_all = catch_all || (d[i]->key && (value[0] == '\0' || strcmp(value, "other") == 0));
    }
    return n > 0 || !(catch_all || d[LABELS_MAX - 1]->key);
}

/* False for errors without a reason, and for places kept free for more models. */
static bool is_named(const struct dimension_values *const *d, const size_t *at)
{
    return d[0]->values[at[0]] && d[1]->values[at[1]] && d[2]->values[at[2]];
}

static void put_counter(FILE *f, const struct metrics *m, enum metric_counter id)
{
    const struct dimension_values *d[LABELS_MAX];
    size_t cells = 1;
    for (int i = 0; i < LABELS_MAX; i++) {
        d[i] = &m->dimensions[counter_table[id].labels[i]];
        cells *= d[i]->count;
    }
    put_head(f, counter_table[id].name, "counter", counter_table[id].help);
    for (size_t cell = 0; cell < cells; cell++) {
        uint64_t n = atomic_load_explicit(&m->counters[id][cell], memory_order_relaxed);
        size_t at[LABELS_MAX] = {cell / (d[1]->count * d[2]->count),
                                 cell / d[2]->count % d[1]->count, cell % d[2]->count};
        if (!is_named(d, at) || !is_shown(n, d, at))
            continue;
        fputs(counter_table[id].name, f);
        for (int i = 0; i < LABELS_MAX && d[i]->key; i++)
            put_label(f, i ? "," : "{", d[i]->key, d[i]->values[at[i]]);
        fprintf(f, "%s %llu\n", d[0]->key ? "}" : "", (unsigned long long)n);
    }
}

static void put_histogram_line(FILE *f, const char *name, const struct dimension_values *d,
                               size_t i, const char *suffix)
{
    fprintf(f, "%s%s", name, suffix);
    if (d->key) {
        put_label(f, "{", d->key, d->values[i]);
        fputc('}', f);
    }
}

static void put_histogram(FILE *f, const struct metrics *m, enum metric_histogram id)
{
    const struct dimension_values *d = &m->dimensions[histogram_table[id].label];
    const char *name = histogram_table[id].name;
    put_head(f, name, "histogram", histogram_table[id].help);
    for (size_t i = 0; i < d->count; i++) {
        const struct histogram_cell *cell = &m->histograms[id][i];
        uint64_t sum_ns = atomic_load_explicit(&cell->sum_ns, memory_order_relaxed), count = 0;
        for (size_t b = 0; b < BUCKET_COUNT; b++) {
            count += atomic_load_explicit(&cell->buckets[b], memory_order_relaxed);
            fprintf(f, "%s_bucket{", name);
            if (d->key)
                put_label(f, "", d->key, d->values[i]);
            fputs(d->key ? "," : "", f);
            if (b < BUCKET_COUNT - 1)
                fprintf(f, "le=\"%g\"} ", bucket_bounds[b]);
            else
                fputs("le=\"+Inf\"} ", f);
            fprintf(f, "%llu\n", (unsigned long long)count);
        }
        put_histogram_line(f, name, d, i, "_sum");
        fprintf(f, " %.9g\n", (double)sum_ns / 1e9);
        put_histogram_line(f, name, d, i, "_count");
        fprintf(f, " %llu\n", (unsigned long long)count);
    }
}

static void put_gauges(FILE *f, const double *gauges)
{
    for (size_t id = 0; id < GAUGE_COUNT; id++) {
        if (isnan(gauges[id]))
            continue;
        put_head(f, gauge_table[id].name, gauge_table[id].type, gauge_table[id].help);
        fprintf(f, "%s %.15g\n", gauge_table[id].name, gauges[id]);
    }
}

static void put_infos(FILE *f, const struct metrics *m)
{
    for (size_t id = 0; id < INFO_COUNT; id++) {
        put_head(f, info_table[id].name, "gauge", info_table[id].help);
        for (char **line = m->info_lines[id]; line && *line; line++)
            fprintf(f, "%s{%s} 1\n", info_table[id].name, *line);
    }
}

char *metrics_render(struct metrics *m, const double *gauges, size_t *length)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, length);
    if (!f)
        return NULL;
    pthread_mutex_lock(&m->lock);
    for (size_t id = 0; id < COUNTER_COUNT; id++)
        put_counter(f, m, (enum metric_counter)id);
    for (size_t id = 0; id < HISTOGRAM_COUNT; id++)
        put_histogram(f, m, (enum metric_histogram)id);
    put_gauges(f, gauges);
    put_infos(f, m);
    pthread_mutex_unlock(&m->lock);
    bool failed = ferror(f);
    if (fclose(f) == 0 && !failed)
        return text;
    free(text);
    return NULL;
}
