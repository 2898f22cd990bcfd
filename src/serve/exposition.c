/* The exposition of the metrics. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "serve/metrics_table.h"

static const struct {
    const char *name, *type, *help;
} gauge_table[] = {
#define GAUGE(id, name, type, help) {name, type, help},
#include "serve/metrics.def"
};

static const struct {
    const char *name, *help;
} infos[] = {
#define INFO(id, name, help) {name, help},
#include "serve/metrics.def"
};

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

/* False for errors that are no reason, and what is kept free for models to come. */
static bool is_named(const struct dimension_values *const *d, const size_t *at)
{
    return d[0]->values[at[0]] && d[1]->values[at[1]] && d[2]->values[at[2]];
}

static void put_counter(FILE *f, const struct metrics *m, enum metric_counter id)
{
    const struct dimension_values *d[LABELS_MAX];
    size_t cells = 1;
    for (int i = 0; i < LABELS_MAX; i++) {
        d[i] = &m->dimensions[metrics_counters[id].labels[i]];
        cells *= d[i]->count;
    }
    put_head(f, metrics_counters[id].name, "counter", metrics_counters[id].help);
    for (size_t cell = 0; cell < cells; cell++) {
        uint64_t n = atomic_load_explicit(&m->counters[id][cell], memory_order_relaxed);
        size_t at[LABELS_MAX] = {cell / (d[1]->count * d[2]->count),
                                 cell / d[2]->count % d[1]->count, cell % d[2]->count};
        if (!is_named(d, at) || !is_shown(n, d, at))
            continue;
        fputs(metrics_counters[id].name, f);
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
    const struct dimension_values *d = &m->dimensions[metrics_histograms[id].label];
    const char *name = metrics_histograms[id].name;
    put_head(f, name, "histogram", metrics_histograms[id].help);
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
                fprintf(f, "le=\"%g\"} ", metrics_bucket_bounds[b]);
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
        put_head(f, infos[id].name, "gauge", infos[id].help);
        for (char **line = m->info_lines[id]; line && *line; line++)
            fprintf(f, "%s{%s} 1\n", infos[id].name, *line);
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
