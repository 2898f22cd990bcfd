#include "nn/plan.h"

#include <stdlib.h>

#include "base/size.h"
#include "nn/fine.h"
#include "nn/shortcut.h"

enum { ALIGNMENT = 64, MAX_BYTES = 1 << 30 };

/* A value: its size in bytes, the layer that makes it and the last that reads it. */
struct value {
    size_t size;
    int made, last_read;
};

static size_t product(int a, int b, int c)
{
    size_t p;
    return size_mul((size_t)a, (size_t)b, &p) && size_mul(p, (size_t)c, &p) ? p : SIZE_MAX;
}

/* An explanation reads the last feature map and its mean after the logits are computed. */
static void keep_features(const struct layer *layers, size_t count, struct value *values)
{
    for (size_t i = 0; i < count; i++)
        if (layers[i].kind == LAYER_GLOBAL_POOL)
            values[layers[i].input].last_read = values[i + 1].last_read = (int)count;
}

/* An int8 network computes a shortcut where it is added, and reads its input there. */
static void join_shortcuts(const struct layer *layers, size_t count, struct value *values)
{
    for (size_t i = 0; i < count; i++) {
        size_t shortcut = shortcut_of(layers, count, i);
        if (shortcut == count)
            continue;
        struct value *input = &values[layers[shortcut].input];
        input->last_read = input->last_read > (int)i ? input->last_read : (int)i;
        values[shortcut + 1].size = 0;
    }
}

/* Bytes of an element of value v. */
static size_t element_size(const struct layer *layers, size_t count, size_t v,
                           enum precision precision)
{
    precision = layer_value_precision(layers, count, v, precision);
    return precision == PRECISION_INT8 ? fine_size(fine_form_of(layers, count, v))
                                       : precision_size(precision);
}

static int describe(const struct layer *layers, size_t count, enum precision precision,
                    struct value *values, struct error *err)
{
    const struct conv_shape *first = &layers[0].shape;
    values[0] = (struct value){product(first->in_h, first->in_w, first->in_c), -1, 0};
    for (size_t i = 0; i < count; i++) {
        const struct conv_shape *s = &layers[i].shape;
        values[i + 1] = (struct value){product(s->out_h, s->out_w, s->out_c), (int)i, (int)i};
        values[layers[i].input].last_read = (int)i;
        if (layers[i].residual != LAYER_NO_VALUE)
            values[layers[i].residual].last_read = (int)i;
        if (layers[i].gate)
            values[layers[i].gate].last_read = (int)i;
    }
    values[count].last_read = (int)count;
    keep_features(layers, count, values);
    if (precision == PRECISION_INT8)
        join_shortcuts(layers, count, values);
    for (size_t i = 0; i <= count; i++) {
        size_t element = element_size(layers, count, i, precision);
        if (!size_mul(values[i].size, element, &values[i].size) || values[i].size > MAX_BYTES)
            return error_set(err, ERR_MODEL_UNSUPPORTED, "layer %s: its output is too large",
                             i ? layer_label(&layers[i - 1]) : "input");
        values[i].size = size_round_up(values[i].size, ALIGNMENT);
    }
    return ERR_OK;
}

/* The lowest offset at which value `v` overlaps none of the earlier values that live with it. */
static size_t first_fit(const struct value *values, const size_t *offset, size_t v)
{
    size_t at = 0;
    for (size_t u = 0; u < v;) {
        bool together = values[u].last_read >= values[v].made;
        bool overlap = at < offset[u] + values[u].size && offset[u] < at + values[v].size;
        if (together && overlap) {
            at = offset[u] + values[u].size;
            u = 0;
        } else {
            u++;
        }
    }
    return at;
}

static bool takes_residuals_place(const struct layer *layer, const struct value *values, size_t v)
{
    int r = layer->residual;
    return r != LAYER_NO_VALUE && r != layer->input && values[r].last_read == values[v].made &&
           values[r].size == values[v].size;
}

static void place(struct plan *plan, const struct layer *layers, const struct value *values)
{
    plan->total = values[0].size;
    for (size_t v = 1; v < plan->value_count; v++) {
        const struct layer *layer = &layers[v - 1];
        plan->offset[v] = takes_residuals_place(layer, values, v)
                              ? plan->offset[layer->residual]
                              : first_fit(values, plan->offset, v);
        size_t end = plan->offset[v] + values[v].size;
        plan->total = end > plan->total ? end : plan->total;
    }
}

int plan_create(struct plan *plan, const struct layer *layers, size_t count,
                enum precision precision, struct error *err)
{
    *plan = (struct plan){.value_count = count + 1};
    struct value *values = calloc(count + 1, sizeof *values);
    plan->offset = calloc(count + 1, sizeof *plan->offset);
    int code = values && plan->offset ? describe(layers, count, precision, values, err)
                                      : error_set(err, ERR_NO_MEMORY, "no memory for a plan");
    if (code == ERR_OK)
        place(plan, layers, values);
    else
        plan_destroy(plan);
    free(values);
    return code;
}

void plan_destroy(struct plan *plan)
{
    free(plan->offset);
    *plan = (struct plan){0};
}
