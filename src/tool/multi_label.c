#include "tool/multi_label.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static int by_score(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

double average_precision(struct scored *pictures, size_t count)
{
    size_t found = 0, found_before = 0;
    double sum = 0;
    if (count > 0)
        qsort(pictures, count, sizeof *pictures, by_score);
    for (size_t i = 0; i < count; i++) {
        found += pictures[i].positive;
        if (i + 1 < count && pictures[i + 1].score == pictures[i].score)
            continue;
        sum += (double)(found - found_before) * (double)found / (double)(i + 1);
        found_before = found;
    }
    return found > 0 ? sum / (double)found : (double)NAN;
}

int multi_label_create(struct multi_label *m, size_t classes, size_t capacity, struct error *err)
{
    size_t all;
    *m = (struct multi_label){.classes = classes, .capacity = capacity};
    if (!__builtin_mul_overflow(classes, capacity, &all)) {
        m->logits = calloc(all, sizeof *m->logits);
        m->shown = calloc(all, sizeof *m->shown);
        m->precisions = calloc(classes, sizeof *m->precisions);
    }
    if (m->logits && m->shown && m->precisions)
        return ERR_OK;
    return error_set(err, ERR_NO_MEMORY, "no memory for %zu results of %zu classes", capacity,
                     classes);
}

bool *multi_label_add(struct multi_label *m, const float *logits)
{
    CHECK(m->count < m->capacity);
    size_t at = m->count++ * m->classes;
    memcpy(m->logits + at, logits, m->classes * sizeof *logits);
    return m->shown + at;
}

static struct class_precision measure(const struct multi_label *m, size_t class_id,
                                      struct scored *pictures)
{
    struct class_precision result = {0};
    for (size_t i = 0; i < m->count; i++) {
        size_t at = i * m->classes + class_id;
        pictures[i] = (struct scored){m->logits[at], m->shown[at]};
        result.positives += m->shown[at];
    }
    result.average = average_precision(pictures, m->count);
    return result;
}

int multi_label_finish(struct multi_label *m, struct error *err)
{
    struct scored *pictures = calloc(m->count + 1, sizeof *pictures);
    double sum = 0;
    if (!pictures)
        return error_set(err, ERR_NO_MEMORY, "no memory to rank %zu pictures", m->count);
    for (size_t c = 0; c < m->classes; c++) {
        m->precisions[c] = measure(m, c, pictures);
        if (m->precisions[c].positives == 0)
            continue;
        m->measured++;
        sum += m->precisions[c].average;
    }
    free(pictures);
    m->mean = m->measured ? sum / (double)m->measured : (double)NAN;
    return ERR_OK;
}

void multi_label_destroy(struct multi_label *m)
{
    free(m->logits);
    free(m->shown);
    free(m->precisions);
    *m = (struct multi_label){0};
}
