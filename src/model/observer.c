#include "model/observer.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static const double steps = 255; /* of a byte */

/* What was seen of a layer's output. */
struct seen {
    pthread_mutex_t lock;
    size_t channels;
    float *low, *high; /* [channels]; 0 always belongs to the range */
    uint32_t *counts;  /* in the second round; as in struct range_counts */
};

struct observer {
    const struct network *network;
    size_t count;
    struct seen *layers; /* [count]; channels is 0 for a layer without an entry */
};

/* The layers of a network are contiguous. */
static const struct layer *layers_of(const struct observer *o)
{
    return network_layer(o->network, 0);
}

int observer_create(struct observer **out, const struct network *network, struct error *err)
{
    CHECK(network_precision(network) == PRECISION_F32);
    struct observer *o = calloc(1, sizeof *o);
    if (!o)
        return error_set(err, ERR_NO_MEMORY, "no memory to watch a network");
    o->network = network;
    o->layers = calloc(network_layer_count(network), sizeof *o->layers);
    bool complete = o->layers != NULL;
    o->count = complete ? network_layer_count(network) : 0;
    for (size_t i = 0; i < o->count; i++) {
        struct seen *s = &o->layers[i];
        pthread_mutex_init(&s->lock, NULL);
        if (!calibration_layer_name(network_layer(o->network, i)))
            continue;
        s->channels = (size_t)network_layer(network, i)->shape.out_c;
        s->low = calloc(2 * s->channels, sizeof *s->low);
        s->high = s->low ? s->low + s->channels : NULL;
        complete = complete && s->low;
    }
    if (!complete) {
        observer_destroy(o);
        return error_set(err, ERR_NO_MEMORY, "no memory to watch a network");
    }
    *out = o;
    return ERR_OK;
}

void observer_destroy(struct observer *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < o->count; i++) {
        pthread_mutex_destroy(&o->layers[i].lock);
        free(o->layers[i].low);
        free(o->layers[i].counts);
    }
    free(o->layers);
    free(o);
}

int observer_second_round(struct observer *o, struct error *err)
{
    for (size_t i = 0; i < o->count; i++) {
        struct seen *s = &o->layers[i];
        if (s->channels == 0)
            continue;
        s->counts = calloc(s->channels, RANGE_COUNTS * sizeof *s->counts);
        if (!s->counts)
            return error_set(err, ERR_NO_MEMORY, "no memory for histograms");
    }
    return ERR_OK;
}

static void widen(struct seen *s, const float *values, size_t count)
{
    for (size_t i = 0; i < count; i += s->channels)
        for (size_t c = 0; c < s->channels; c++) {
            s->low[c] = fminf(s->low[c], values[i + c]);
            s->high[c] = fmaxf(s->high[c], values[i + c]);
        }
}

/* A count that is full stays so. */
static void count_values(struct seen *s, const float *values, size_t count, size_t fold)
{
    for (size_t c = 0; c < s->channels; c++) {
        float span = s->high[c] - s->low[c], low = s->low[c];
        float per_bin = span > 0 ? RANGE_BINS / span : 0;
        uint32_t *counts = s->counts + c * RANGE_COUNTS + fold * (RANGE_BINS + 1);
        for (size_t i = c; i < count; i += s->channels) {
            float bin = (values[i] - low) * per_bin + 0.5F;
            uint32_t *at = &counts[bin < RANGE_BINS ? bin > 0 ? (size_t)bin : 0 : RANGE_BINS];
            *at += *at < UINT32_MAX;
        }
    }
}

/* Observes the output of layer i. */
static void observe(struct observer *o, const struct workspace *workspace, size_t i, size_t fold)
{
    struct seen *s = &o->layers[i];
    if (s->channels == 0)
        return;
    const float *values = workspace_value(o->network, workspace, (int)i + 1);
    size_t count = network_value_size(o->network, (int)i + 1);
    pthread_mutex_lock(&s->lock);
    if (s->counts)
        count_values(s, values, count, fold);
    else
        widen(s, values, count);
    pthread_mutex_unlock(&s->lock);
}

/* Any half of the pictures, but for the same picture always the same. */
static size_t fold_of(const struct observer *o, const struct workspace *workspace)
{
    const float *pixels = workspace_value(o->network, workspace, 0);
    uint32_t hash = 0, bits;
    for (size_t i = 0; i < network_value_size(o->network, 0); i++) {
        memcpy(&bits, &pixels[i], sizeof bits);
        hash = (hash ^ bits) * 0x9e3779b1;
    }
    return hash >> 31;
}

const float *observer_forward(struct observer *o, struct workspace *workspace)
{
    size_t fold = fold_of(o, workspace); /* its memory is reused */
    for (size_t i = 0; i < o->count; i++) {
        network_run_layer(o->network, workspace, i, 1);
        observe(o, workspace, i, fold);
    }
    return workspace_value(o->network, workspace, (int)o->count);
}

static void choose_layer(const struct seen *s, const struct layer *layer, enum range_method method,
                         double *spans, const struct calibration_layer *out)
{
    const struct range_counts counts = {s->channels, s->low, s->high, s->counts};
    ranges_choose(&counts, method, spans);
    for (size_t c = 0; c < s->channels; c++) {
        double full = (double)s->high[c] - (double)s->low[c];
        double below = full > 0 ? -(double)s->low[c] / full : 0;
        out->scale[c] = calibration_number(spans[c] > 0 ? spans[c] / steps : 1);
        out->zero[c] = layer->relu ? 0 : (float)rint(below * steps);
        out->mean[c] = calibration_number(ranges_mean(&counts, c));
    }
}

static size_t max_channels(const struct observer *o)
{
    size_t max = 1;
    for (size_t i = 0; i < o->count; i++)
        max = o->layers[i].channels > max ? o->layers[i].channels : max;
    return max;
}

int observer_choose(const struct observer *o, enum range_method method, struct calibration *out,
                    struct error *err)
{
    int code = calibration_create(out, layers_of(o), o->count, err);
    if (code != ERR_OK)
        return code;
    double *spans = calloc(max_channels(o), sizeof *spans);
    if (!spans)
        code = error_set(err, ERR_NO_MEMORY, "no memory to choose ranges");
    strcpy(out->method, range_method_names[method]);
    for (size_t i = 0; code == ERR_OK && i < o->count; i++) {
        const struct layer *layer = network_layer(o->network, i);
        const struct calibration_layer *chosen = &out->layers[i];
        if (o->layers[i].channels == 0)
            continue;
        CHECK(o->layers[i].counts);
        choose_layer(&o->layers[i], layer, method, spans, chosen);
        if (!calibration_layer_is_sane(chosen, layer))
            code = error_set(err, ERR_MODEL_UNSUPPORTED,
                             "what layer %s puts out is too large or too small for int8",
                             calibration_layer_name(network_layer(o->network, i)));
    }
    free(spans);
    if (code != ERR_OK)
        calibration_destroy(out);
    return code;
}
