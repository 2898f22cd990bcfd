#include "model/rounder.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "kernel/openblas/matrix.h"
#include "kernel/openblas/openblas.h"
#include "nn/rounding.h"

enum {
    PIXELS = 64, /* of a layer's output that are observed in a picture */
    LARGEST_BYTE = 255,
};

/* The groups of a layer, or some of them, that a pass observes. */
struct part {
    pthread_mutex_t lock;
    size_t layer, first, count; /* groups [first, first + count) */
    size_t inputs, rows;        /* of a group, and how many rows of them were seen */
    double *squares;            /* [count][inputs][inputs], the upper triangle */
    double *sums;               /* [count][inputs] */
};

/* Where a pass begins. */
struct place {
    size_t layer, group;
};

struct rounder {
    const struct network *network;
    struct calibration *calibration;
    struct model_weights *weights;
    struct pixel_scales pixels;
    struct quantization *values; /* of the network */
    size_t bytes, threads;
    double **rows;      /* [threads][PIXELS * the largest number of inputs] */
    struct part *parts; /* of this pass */
    size_t count;
    struct place next; /* behind this pass */
};

static size_t inputs_of(const struct conv_shape *s)
{
    return (size_t)(s->in_c / s->groups) * (size_t)(s->kernel * s->kernel);
}

/* The part that starts at `from`, with as many groups as `bytes` of squares allow, `least` or more;
 * its count is 0 if there is nothing to observe. */
static struct part cut(const struct network *network, struct place from, size_t bytes, size_t least)
{
    const struct layer *layer = network_layer(network, from.layer);
    if (!calibration_layer_name(layer))
        return (struct part){.layer = from.layer};
    size_t inputs = inputs_of(&layer->shape), left = (size_t)layer->shape.groups - from.group;
    size_t fit = bytes / (inputs * inputs * sizeof(double));
    fit = fit > least ? fit : least;
    return (struct part){.layer = from.layer,
                         .first = from.group,
                         .count = left < fit ? left : fit,
                         .inputs = inputs};
}

static size_t square_bytes(const struct part *part)
{
    return part->count * part->inputs * part->inputs * sizeof(double);
}

/* Lists the parts of the pass from `from` on, of `left` bytes, in `parts` [layers], or only counts
 * them if that is NULL. Returns where the next pass begins. */
static struct place plan(const struct network *network, size_t left, struct place from,
                         struct part *parts, size_t *count)
{
    *count = 0;
    while (from.layer < network_layer_count(network)) {
        struct part part = cut(network, from, left, *count == 0);
        const struct layer *layer = network_layer(network, from.layer);
        bool whole = part.inputs == 0 || from.group + part.count == (size_t)layer->shape.groups;
        if (part.count > 0) {
            if (parts)
                parts[*count] = part;
            ++*count;
            left -= square_bytes(&part) < left ? square_bytes(&part) : left;
        }
        if (!whole)
            return (struct place){from.layer, from.group + part.count};
        from = (struct place){from.layer + 1, 0};
    }
    return from;
}

size_t rounder_passes(const struct network *network, size_t bytes)
{
    struct place at = {0};
    size_t passes = 0, count;
    while (at.layer < network_layer_count(network)) {
        at = plan(network, bytes, at, NULL, &count);
        passes += count > 0;
    }
    return passes;
}

static size_t most_inputs(const struct network *network)
{
    size_t max = 1;
    for (size_t i = 0; i < network_layer_count(network); i++)
        if (calibration_layer_name(network_layer(network, i))) {
            size_t inputs = inputs_of(&network_layer(network, i)->shape);
            max = inputs > max ? inputs : max;
        }
    return max;
}

static int fill(struct rounder *r, const struct model *model, struct error *err)
{
    size_t inputs = most_inputs(r->network);
    r->values = calloc(network_layer_count(r->network) + 1, sizeof *r->values);
    r->parts = calloc(network_layer_count(r->network), sizeof *r->parts);
    r->rows = calloc(r->threads, sizeof *r->rows);
    bool complete = r->values && r->parts && r->rows;
    for (size_t t = 0; complete && t < r->threads; t++) {
        r->rows[t] = calloc(inputs, PIXELS * sizeof **r->rows);
        complete = r->rows[t] != NULL;
    }
    if (!complete)
        return error_set(err, ERR_NO_MEMORY, "no memory to observe the inputs of layers");
    calibration_values(r->calibration, network_layer(r->network, 0), &r->pixels, r->values);
    return model_weights_open(&r->weights, model, err);
}

int rounder_create(struct rounder **out, const struct model *model, struct calibration *calibration,
                   size_t bytes, size_t threads, struct error *err)
{
    CHECK(model->precision == PRECISION_F32);
    int code = blas_check_memory((int)threads + 1, err);
    struct rounder *r = code == ERR_OK ? calloc(1, sizeof *r) : NULL;
    if (!r)
        return code != ERR_OK ? code : error_set(err, ERR_NO_MEMORY, "no memory to round weights");
    r->network = model->network;
    r->calibration = calibration;
    r->bytes = bytes;
    r->threads = threads;
    code = fill(r, model, err);
    if (code == ERR_OK)
        *out = r;
    else
        rounder_destroy(r);
    return code;
}

/* Ends a pass. */
static void clear(struct rounder *r)
{
    for (size_t i = 0; i < r->count; i++) {
        pthread_mutex_destroy(&r->parts[i].lock);
        free(r->parts[i].squares);
        free(r->parts[i].sums);
    }
    r->count = 0;
}

void rounder_destroy(struct rounder *r)
{
    if (!r)
        return;
    clear(r);
    for (size_t t = 0; r->rows && t < r->threads; t++)
        free(r->rows[t]);
    free(r->rows);
    free(r->parts);
    free(r->values);
    model_weights_close(r->weights);
    free(r);
}

/* What choosing needs beside the squares: of the layer for which it is most. */
static size_t choice_bytes(const struct rounder *r)
{
    size_t max = 0;
    for (size_t i = 0; i < r->count; i++) {
        const struct conv_shape *s = &network_layer(r->network, r->parts[i].layer)->shape;
        size_t inputs = r->parts[i].inputs, outputs = (size_t)(s->out_c / s->groups);
        size_t bytes = rounding_bytes(inputs, outputs) + inputs * outputs * sizeof(double);
        max = bytes > max ? bytes : max;
    }
    return max;
}

int rounder_begin(struct rounder *r, struct error *err)
{
    size_t bytes = 0, count = 0;
    CHECK(r->count == 0);
    r->next = plan(r->network, r->bytes, r->next, r->parts, &count);
    bool complete = true;
    for (; r->count < count; r->count++) {
        bytes += square_bytes(&r->parts[r->count]);
        pthread_mutex_init(&r->parts[r->count].lock, NULL);
    }
    int code = memory_check(bytes + choice_bytes(r), err);
    if (code != ERR_OK)
        return error_prefix(err, code,
                            "rounding by least squares (--rounding nearest does without)");
    for (size_t i = 0; complete && i < count; i++) {
        struct part *part = &r->parts[i];
        part->squares = calloc(1, square_bytes(part));
        part->sums = calloc(part->count, part->inputs * sizeof *part->sums);
        complete = part->squares && part->sums;
    }
    return complete ? ERR_OK : error_set(err, ERR_NO_MEMORY, "no memory to round weights");
}

/* Random numbers: splitmix64. */
static uint64_t next_number(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static double byte_of(float value, float scale, float zero)
{
    const float large = 0x1.8p23F; /* leaves no space for a fraction */
    float byte = value / scale + zero;
    byte = byte > 0 ? byte : 0;
    return byte < LARGEST_BYTE ? byte + large - large : LARGEST_BYTE;
}

/* What a layer's kernels read at one place of the kernel: `channels` of a pixel, from `first` on.
 */
struct tap {
    const float *pixel; /* NULL: outside the map */
    const struct quantization *q;
    size_t first, channels;
};

/* Writes the bytes of a tap to `row`, `step` apart. */
static void take_tap(const struct tap *tap, double *row, size_t step)
{
    const float *scale = tap->q->scale + tap->first, *zero = tap->q->zero + tap->first;
    for (size_t c = 0; c < tap->channels; c++)
        row[c * step] = tap->pixel ? byte_of(tap->pixel[tap->first + c], scale[c], zero[c])
                                   : rint((double)zero[c]);
}

/* Writes what group `group` reads for output pixel `pixel`, in the order of its weights. */
static void take_row(const struct rounder *r, const struct layer *layer, const float *x,
                     size_t group, size_t pixel, double *row)
{
    const struct conv_shape *s = &layer->shape;
    size_t channels = (size_t)(s->in_c / s->groups), taps = (size_t)(s->kernel * s->kernel);
    struct tap tap = {
        .q = &r->values[layer->input], .first = group * channels, .channels = channels};
    int top = (int)pixel / s->out_w * s->stride - s->pad;
    int left = (int)pixel % s->out_w * s->stride - s->pad;
    for (size_t k = 0; k < taps; k++) {
        int y = top + (int)k / s->kernel, column = left + (int)k % s->kernel;
        bool inside = y >= 0 && y < s->in_h && column >= 0 && column < s->in_w;
        tap.pixel = inside ? x + (size_t)(y * s->in_w + column) * (size_t)s->in_c : NULL;
        take_tap(&tap, row + k, taps);
    }
}

/* Chooses pixels [PIXELS] of a map of `area`, one at random in each of as many equal runs. Returns
 * their number. */
static size_t choose_pixels(size_t area, uint64_t seed, size_t *pixels)
{
    size_t count = area < PIXELS ? area : PIXELS;
    for (size_t i = 0; i < count; i++) {
        size_t begin = i * area / count, end = (i + 1) * area / count;
        pixels[i] = begin + next_number(&seed) % (end - begin);
    }
    return count;
}

static void add_rows(struct part *part, size_t group, const double *rows, size_t count)
{
    size_t n = part->inputs;
    double *sums = part->sums + group * n;
    matrix_add_square(n, count, rows, part->squares + group * n * n);
    for (size_t i = 0; i < count; i++)
        for (size_t c = 0; c < n; c++)
            sums[c] += rows[i * n + c];
}

static void observe(struct rounder *r, struct part *part, const struct workspace *workspace,
                    uint64_t seed, double *rows)
{
    const struct layer *layer = network_layer(r->network, part->layer);
    const float *x = workspace_value(r->network, workspace, layer->input);
    size_t pixels[PIXELS];
    size_t count = choose_pixels((size_t)(layer->shape.out_h * layer->shape.out_w),
                                 seed + part->layer, pixels);
    for (size_t g = 0; g < part->count; g++) {
        for (size_t i = 0; i < count; i++)
            take_row(r, layer, x, part->first + g, pixels[i], rows + i * part->inputs);
        pthread_mutex_lock(&part->lock);
        add_rows(part, g, rows, count);
        part->rows += g == 0 ? count : 0;
        pthread_mutex_unlock(&part->lock);
    }
}

void rounder_forward(struct rounder *r, size_t thread, struct workspace *workspace, uint64_t seed)
{
    size_t done = 0;
    for (size_t i = 0; done < r->count; i++) {
        if (r->parts[done].layer == i)
            observe(r, &r->parts[done++], workspace, seed, r->rows[thread]);
        if (done < r->count)
            network_run_layer(r->network, workspace, i, 1);
    }
}

/* Turns the sums of a group into its covariance, in place. */
static double *covariance(struct part *part, size_t group)
{
    size_t n = part->inputs;
    double *a = part->squares + group * n * n, *sums = part->sums + group * n;
    double rows = (double)part->rows;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i; j < n; j++)
            a[i * n + j] = (a[i * n + j] - sums[i] / rows * sums[j]) / rows;
    return a;
}

/* Rounds the weights of one group of a part; `exact` is space for them. */
static int choose_group(struct rounder *r, struct part *part, size_t group, const float *weights,
                        double *exact, struct error *err)
{
    const struct layer *layer = network_layer(r->network, part->layer);
    size_t outputs = (size_t)(layer->shape.out_c / layer->shape.groups);
    size_t first = (part->first + group) * outputs;
    for (size_t o = 0; o < outputs; o++)
        if (!quantize_exactly(layer, weights, &r->values[layer->input], first + o,
                              exact + o * part->inputs))
            return error_set(err, ERR_MODEL_UNSUPPORTED,
                             "layer %s: weights and scales are too large or too small for int8",
                             layer->name);
    return rounding_choose(covariance(part, group), part->inputs, exact, outputs,
                           r->calibration->layers[part->layer].rounding, first * part->inputs, err);
}

static int choose_part(struct rounder *r, struct part *part, struct error *err)
{
    const struct layer *layer = network_layer(r->network, part->layer);
    struct calibration_layer *to = &r->calibration->layers[part->layer];
    size_t outputs = (size_t)(layer->shape.out_c / layer->shape.groups);
    const float *weights;
    int code = model_weights_read(r->weights, part->layer, &weights, err);
    if (code != ERR_OK)
        return code;
    if (!to->rounding)
        to->rounding = calloc(1, calibration_rounding_bytes(layer));
    double *exact = calloc(part->inputs, outputs * sizeof *exact);
    if (!to->rounding || !exact)
        code = error_set(err, ERR_NO_MEMORY, "no memory to round weights");
    for (size_t g = 0; code == ERR_OK && g < part->count; g++)
        code = choose_group(r, part, g, weights, exact, err);
    free(exact);
    return code;
}

int rounder_choose(struct rounder *r, struct error *err)
{
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < r->count; i++)
        code = choose_part(r, &r->parts[i], err);
    clear(r);
    return code;
}
