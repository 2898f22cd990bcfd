#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "model/class_id.h"
#include "model/model.h"
#include "nn/finite.h"

int model_check_logits(const struct model *model, const float *logits, struct error *err)
{
    return finite_check(logits, (size_t)model->classes, "logits", err);
}

static float difference_of_largest(const float *logits, int classes)
{
    float first = -INFINITY, second = -INFINITY;
    for (int i = 0; i < classes; i++) {
        second = fmaxf(second, fminf(first, logits[i]));
        first = fmaxf(first, logits[i]);
    }
    return first - second;
}

float model_margin(const struct model *model, const float *logits)
{
    float least = INFINITY;
    if (model->activation == ACTIVATION_SOFTMAX)
        return difference_of_largest(logits, model->classes);
    for (int i = 0; i < model->classes; i++)
        least = fminf(least, fabsf(logits[i]));
    return least;
}

void model_scores(const struct model *model, const float *logits, float *scores)
{
    struct score_scale scale = score_scale(model->activation, logits, model->classes);
    for (int i = 0; i < model->classes; i++)
        scores[i] = score_of(&scale, logits[i]);
}

int model_find_class_id(const struct model *model, const char *text, int *class_id,
                        struct error *err)
{
    *class_id = class_id_parse(text);
    if (*class_id >= 0 && *class_id < model->classes)
        return ERR_OK;
    return error_set(err, ERR_PARAMETER, "\"%.64s\" is no class id; they are 0 to %d", text,
                     model->classes - 1);
}

static int count_label(const struct model *model, const char *label)
{
    int count = 0;
    for (int i = 0; i < model->classes; i++)
        count += strcmp(model->labels[i], label) == 0;
    return count;
}

/* If labels are numbers, a number that is no label may be an id or a mistyped label. */
static bool has_numbers_for_labels(const struct model *model)
{
    for (int i = 0; i < model->classes; i++)
        if (class_id_parse(model->labels[i]) >= 0)
            return true;
    return false;
}

int model_find_class(const struct model *model, const char *text, int *class_id, struct error *err)
{
    int found = -1;
    for (int i = 0; i < model->classes; i++) {
        if (strcmp(model->labels[i], text) != 0)
            continue;
        if (found >= 0)
            return error_set(err, ERR_PARAMETER,
                             "\"%.64s\" is the label of classes %d and %d; give an id", text, found,
                             i);
        found = i;
    }
    if (found < 0 && model_find_class_id(model, text, class_id, NULL) != ERR_OK)
        return error_set(err, ERR_PARAMETER,
                         "no class is called \"%.64s\"; give a label or an id from 0 to %d", text,
                         model->classes - 1);
    if (found < 0 && has_numbers_for_labels(model) &&
        count_label(model, model->labels[*class_id]) == 1)
        return error_set(
            err, ERR_PARAMETER,
            "no class is called \"%.64s\"; it is not taken for an id, since some labels "
            "are numbers: give a label",
            text);
    *class_id = found >= 0 ? found : *class_id;
    return ERR_OK;
}

/* Below 0 if `a` stands before `b` in the answer. */
static int compare(const void *a, const void *b)
{
    const struct prediction *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->class_id - y->class_id;
}

/* Restores the heap below `at`. Its root is the last prediction of the answer. */
static void sink(struct prediction *heap, int count, int at)
{
    for (;;) {
        int child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && compare(&heap[child + 1], &heap[child]) > 0)
            child++;
        if (compare(&heap[child], &heap[at]) < 0)
            return;
        struct prediction moved = heap[at];
        heap[at] = heap[child];
        heap[child] = moved;
        at = child;
    }
}

/* Leaves the k largest logits in `out`, best first, in place of scores. */
static void select_top(const float *logits, int classes, int k, struct prediction *out)
{
    for (int i = 0; i < k; i++)
        out[i] = (struct prediction){i, logits[i]};
    for (int i = k / 2; i-- > 0;)
        sink(out, k, i);
    for (int i = k; i < classes; i++) {
        struct prediction next = {i, logits[i]};
        if (compare(&next, &out[0]) > 0)
            continue;
        out[0] = next;
        sink(out, k, 0);
    }
    qsort(out, (size_t)k, sizeof *out, compare);
}

void model_top_k(const struct model *model, const float *logits, int k, struct prediction *out)
{
    CHECK(k >= 1 && k <= model->classes);
    struct score_scale scale = score_scale(model->activation, logits, model->classes);
    select_top(logits, model->classes, k, out);
    for (int i = 0; i < k; i++)
        out[i].score = score_of(&scale, out[i].score);
}
