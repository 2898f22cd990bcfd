#include "model/observer.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum {
    BINS = 512,       /* of a channel's range: two for each of a byte's steps */
    CANDIDATES = 100, /* clipped ranges that are tried: 1 to 100 % of the full range */
    STEPS = 255,      /* of a byte */
};
static const double percentile_left_out = 1e-4;

/* The scale of a channel is a geometric mean, with this weight, of its own and of the layer's
 * widest. Scales of their own (1) lose least in the activations, but make the next layer's weights
 * uneven, and clip a channel that is seldom active. A value in between measured best. */
static const double evenness = 0.5;
static const double narrowest = 1.0 / 64; /* of the widest channel's range */

/* What was seen of a layer's output. */
struct seen {
    pthread_mutex_t lock;
    size_t channels;
    float *low, *high; /* [channels]; 0 always belongs to the range */
    uint64_t *counts;  /* in the second round; [channels][BINS + 1]: bin b is centred on low + b *
                          (high - low) / BINS */
};

struct observer {
    const struct network *network;
    size_t count;
    struct seen *layers; /* [count]; channels is 0 for a layer without an entry */
};

const char *const range_method_names[] = {RANGE_METHOD_NAMES(NAME_TEXT) NULL};

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
        if (!calibration_layer_name(layers_of(o), o->count, i))
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
        s->counts = calloc(s->channels, (BINS + 1) * sizeof *s->counts);
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

static void count_values(struct seen *s, const float *values, size_t count)
{
    for (size_t c = 0; c < s->channels; c++) {
        float span = s->high[c] - s->low[c], low = s->low[c];
        float per_bin = span > 0 ? BINS / span : 0;
        uint64_t *counts = s->counts + c * (BINS + 1);
        for (size_t i = c; i < count; i += s->channels) {
            float bin = (values[i] - low) * per_bin + 0.5F;
            counts[bin < BINS ? bin > 0 ? (size_t)bin : 0 : BINS]++;
        }
    }
}

/* Observes the output of layer i. */
static void observe(struct observer *o, const struct workspace *workspace, size_t i)
{
    struct seen *s = &o->layers[i];
    if (s->channels == 0)
        return;
    const float *values = workspace_value(o->network, workspace, (int)i + 1);
    size_t count = network_value_size(o->network, (int)i + 1);
    pthread_mutex_lock(&s->lock);
    if (s->counts)
        count_values(s, values, count);
    else
        widen(s, values, count);
    pthread_mutex_unlock(&s->lock);
}

const float *observer_forward(struct observer *o, struct workspace *workspace)
{
    for (size_t i = 0; i < o->count; i++) {
        network_run_layer(o->network, workspace, i, 1);
        observe(o, workspace, i);
    }
    return workspace_value(o->network, workspace, (int)o->count);
}

/* A channel's histogram; `width` of a bin. */
struct histogram {
    const uint64_t *counts;
    double low, width;
};

static struct histogram histogram_of(const struct seen *s, size_t c)
{
    return (struct histogram){s->counts + c * (BINS + 1), s->low[c],
                              ((double)s->high[c] - s->low[c]) / BINS};
}

static double value_of(const struct histogram *h, int bin)
{
    return h->low + bin * h->width;
}

static double mean_of(const struct histogram *h)
{
    double sum = 0, count = 0;
    for (int b = 0; b <= BINS; b++) {
        sum += (double)h->counts[b] * value_of(h, b);
        count += (double)h->counts[b];
    }
    return count > 0 ? sum / count : 0;
}

/* Sum of squared errors if values are clipped to `part` of the range; stops when it reaches `max`.
 * Rounding errors are uniform over a step, values outside are off by the clipped amount, and 0 is
 * exact. */
static double error_of(const struct histogram *h, double part, double max)
{
    double low = h->low * part, high = value_of(h, BINS) * part;
    double step = (high - low) / STEPS, sum = 0;
    for (int b = BINS; b >= 0 && sum < max; b--) {
        double x = value_of(h, b), over = x > high ? x - high : low - x;
        double error = over > 0 ? over * over : fabs(x) < h->width / 2 ? 0 : step * step / 12;
        sum += (double)h->counts[b] * error;
    }
    return sum;
}

static double part_of_least_error(const struct histogram *h)
{
    double best = 1, min = error_of(h, 1, INFINITY);
    for (int i = CANDIDATES - 1; i > 0; i--) {
        double part = (double)i / CANDIDATES, error = error_of(h, part, min);
        if (error < min) {
            min = error;
            best = part;
        }
    }
    return best;
}

/* The smallest part of the range outside which lie at most percentile_left_out of the values. */
static double part_of_max(const struct histogram *h)
{
    double count = 0, outside = 0;
    for (int b = 0; b <= BINS; b++)
        count += (double)h->counts[b];
    for (int i = CANDIDATES - 1; i > 0; i--) {
        double part = (double)i / CANDIDATES;
        outside = 0;
        for (int b = 0; b <= BINS; b++) {
            double x = value_of(h, b);
            if (x < h->low * part || x > value_of(h, BINS) * part)
                outside += (double)h->counts[b];
        }
        if (outside > percentile_left_out * count)
            return (double)(i + 1) / CANDIDATES;
    }
    return 1.0 / CANDIDATES;
}

static double choose_part(const struct histogram *h, enum range_method method)
{
    if (h->width <= 0 || method == RANGE_MINMAX)
        return 1;
    return method == RANGE_MSE ? part_of_least_error(h) : part_of_max(h);
}

static void choose_layer(const struct seen *s, const struct layer *layer, enum range_method method,
                         const struct calibration_layer *out)
{
    double widest = 0;
    for (size_t c = 0; c < s->channels; c++) {
        struct histogram h = histogram_of(s, c);
        double span = choose_part(&h, method) * h.width * BINS;
        widest = fmax(widest, span);
        out->scale[c] = (float)span;
        out->mean[c] = (float)mean_of(&h);
    }
    for (size_t c = 0; c < s->channels; c++) {
        double span = fmax(out->scale[c], widest * narrowest);
        span = widest > 0 ? pow(span, evenness) * pow(widest, 1 - evenness) : STEPS;
        out->scale[c] = (float)(span / STEPS);
        double below = s->low[c] < 0 ? -s->low[c] / ((double)s->high[c] - s->low[c]) : 0;
        out->zero[c] = layer->relu ? 0 : (float)rint(below * STEPS);
    }
}

int observer_choose(const struct observer *o, enum range_method method, struct calibration *out,
                    struct error *err)
{
    int code = calibration_create(out, layers_of(o), o->count, err);
    if (code != ERR_OK)
        return code;
    strcpy(out->method, range_method_names[method]);
    for (size_t i = 0; code == ERR_OK && i < o->count; i++) {
        const struct layer *layer = network_layer(o->network, i);
        const struct calibration_layer *chosen = &out->layers[i];
        if (o->layers[i].channels == 0)
            continue;
        CHECK(o->layers[i].counts);
        choose_layer(&o->layers[i], layer, method, chosen);
        if (!calibration_layer_is_sane(chosen, layer))
            code = error_set(err, ERR_MODEL_UNSUPPORTED,
                             "what layer %s puts out is too large or too small for int8",
                             calibration_layer_name(layers_of(o), o->count, i));
    }
    if (code != ERR_OK)
        calibration_destroy(out);
    return code;
}
