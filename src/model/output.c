#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "model/model.h"

/* Weights that are finite can still overflow on the way; a score must be a number all the same. */
static float tame(float logit)
{
    return isnan(logit) ? -FLT_MAX : fminf(fmaxf(logit, -FLT_MAX), FLT_MAX);
}

void model_outputs(const float *logits, int classes, float *finite, float *probabilities)
{
    float highest = -FLT_MAX;
    double sum = 0;
    for (int i = 0; i < classes; i++) {
        finite[i] = tame(logits[i]);
        highest = fmaxf(highest, finite[i]);
    }
    for (int i = 0; i < classes; i++)
        sum += exp((double)finite[i] - (double)highest);
    for (int i = 0; i < classes; i++)
        probabilities[i] = (float)(exp((double)finite[i] - (double)highest) / sum);
}

/* A class id: digits, no more than it takes for the most classes. -1 if it is something else. */
static int parse_class_id(const char *text)
{
    enum { MOST_DIGITS = 9 };
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= MOST_DIGITS && text[digits] == '\0' ? atoi(text) : -1;
}

int model_find_class(const struct model *model, const char *text, int *class_id, struct error *err)
{
    *class_id = parse_class_id(text);
    for (int i = 0; *class_id < 0 && i < model->classes; i++)
        if (strcmp(model->labels[i], text) == 0)
            *class_id = i;
    if (*class_id >= 0 && *class_id < model->classes)
        return ERR_OK;
    return error_set(err, ERR_PARAMETER,
                     "no class is called \"%.64s\"; give a label or an id from 0 to %d", text,
                     model->classes - 1);
}

/* Whether `a` stands behind `b` in the answer. */
static bool is_behind(const struct prediction *a, const struct prediction *b)
{
    return a->score != b->score ? a->score < b->score : a->class_id > b->class_id;
}

/* Restores the heap under `at`, in which the last of the answer is the root. */
static void sink(struct prediction *heap, int count, int at)
{
    for (;;) {
        int child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && is_behind(&heap[child + 1], &heap[child]))
            child++;
        if (!is_behind(&heap[child], &heap[at]))
            return;
        struct prediction moved = heap[at];
        heap[at] = heap[child];
        heap[child] = moved;
        at = child;
    }
}

/* Leaves the k largest logits in `out`, best first, as scores. */
static void select_top(const float *logits, int classes, int k, struct prediction *out)
{
    for (int i = 0; i < k; i++)
        out[i] = (struct prediction){i, tame(logits[i])};
    for (int i = k / 2; i-- > 0;)
        sink(out, k, i);
    for (int i = k; i < classes; i++) {
        struct prediction next = {i, tame(logits[i])};
        if (!is_behind(&out[0], &next))
            continue;
        out[0] = next;
        sink(out, k, 0);
    }
    for (int last = k - 1; last > 0; last--) {
        struct prediction moved = out[0];
        out[0] = out[last];
        out[last] = moved;
        sink(out, last, 0);
    }
}

void model_top_k(const float *logits, int classes, int k, struct prediction *out)
{
    CHECK(k >= 1 && k <= classes);
    select_top(logits, classes, k, out);
    double highest = out[0].score, sum = 0;
    for (int i = 0; i < classes; i++)
        sum += exp(tame(logits[i]) - highest);
    for (int i = 0; i < k; i++)
        out[i].score = (float)(exp(out[i].score - highest) / sum);
}
