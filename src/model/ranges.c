#include "model/ranges.h"

#include <math.h>
#include <stdbool.h>

enum {
    STEPS = 255,      /* of a byte */
    CANDIDATES = 100, /* clipped ranges that are tried: 1 to 100 % of the full range */
};
static const double percentile_left_out = 1e-4;
static const double narrowest = 1.0 / 64; /* of the layer's widest range */

const char *const range_method_names[] = {RANGE_METHOD_NAMES(NAME_TEXT) NULL};

/* How the ranges of a layer are widened: that of a channel is a geometric mean, with the weight
 * `evenness`, of its own and of the layer's widest, times `headroom`. */
struct widening {
    double evenness, headroom;
};
static const struct widening usual = {0.5, 1};
static const double evennesses[] = {0.25, 0.5, 0.75, 1};
static const double headrooms[] = {1, 1.25, 1.5, 2, 2.5, 3};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A channel's histogram as sums over the bins from b to the last, of 1, value and value squared. */
struct histogram {
    double low, high, width, zeros;
    double count[RANGE_BINS + 2], sum[RANGE_BINS + 2], square[RANGE_BINS + 2];
};

/* Of the folds [first, end). */
static void make_histogram(const struct range_counts *seen, size_t c, size_t first, size_t end,
                           struct histogram *h)
{
    const uint32_t *counts = seen->counts + c * RANGE_COUNTS;
    h->low = (double)seen->low[c];
    h->high = (double)seen->high[c];
    h->width = (h->high - h->low) / RANGE_BINS;
    h->zeros = h->count[RANGE_BINS + 1] = h->sum[RANGE_BINS + 1] = h->square[RANGE_BINS + 1] = 0;
    for (size_t b = RANGE_BINS + 1; b-- > 0;) {
        double value = h->low + (double)b * h->width, count = 0;
        for (size_t f = first; f < end; f++)
            count += counts[f * (RANGE_BINS + 1) + b];
        h->zeros += fabs(value) < h->width / 2 ? count : 0;
        h->count[b] = h->count[b + 1] + count;
        h->sum[b] = h->sum[b + 1] + count * value;
        h->square[b] = h->square[b + 1] + count * value * value;
    }
}

/* The sum of (value - x)^2 over bins [b, end). */
static double moment(const struct histogram *h, size_t b, size_t end, double x)
{
    double sum = h->square[b] - h->square[end] - 2 * x * (h->sum[b] - h->sum[end]) +
                 x * x * (h->count[b] - h->count[end]);
    return sum > 0 ? sum : 0;
}

static size_t bin_of(const struct histogram *h, double value)
{
    double bin = ceil((value - h->low) / h->width);
    return bin <= 0 ? 0 : bin > RANGE_BINS ? RANGE_BINS + 1 : (size_t)bin;
}

/* The first bin above `value`. */
static size_t bin_above(const struct histogram *h, double value)
{
    return bin_of(h, value + 1e-6 * h->width);
}

/* Sum of squared errors if values are clipped to `part` of the range. Rounding errors are uniform
 * over a step, values outside are off by the clipped amount, and 0 is exact. */
static double error_of(const struct histogram *h, double part)
{
    double low = h->low * part, high = h->high * part, step = (high - low) / STEPS;
    size_t first = bin_of(h, low), end = bin_above(h, high);
    double rounded = h->count[first] - h->count[end] - h->zeros;
    return rounded * step * step / 12 + moment(h, 0, first, low) +
           moment(h, end, RANGE_BINS + 1, high);
}

static double part_of_least_error(const struct histogram *h)
{
    double best = 1, min = error_of(h, 1);
    for (int i = CANDIDATES - 1; i > 0; i--) {
        double part = (double)i / CANDIDATES, error = error_of(h, part);
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
    for (int i = CANDIDATES - 1; i > 0; i--) {
        double part = (double)i / CANDIDATES;
        double inside = h->count[bin_of(h, h->low * part)] - h->count[bin_above(h, h->high * part)];
        if (h->count[0] - inside > percentile_left_out * h->count[0])
            return (double)(i + 1) / CANDIDATES;
    }
    return 1.0 / CANDIDATES;
}

/* The range that a channel alone would have in these folds. */
static double own_span(const struct range_counts *seen, enum range_method method, size_t c,
                       size_t first, size_t end)
{
    struct histogram h;
    double full = (double)seen->high[c] - (double)seen->low[c];
    if (full <= 0 || method == RANGE_MINMAX)
        return full;
    make_histogram(seen, c, first, end, &h);
    return full * (method == RANGE_MSE ? part_of_least_error(&h) : part_of_max(&h));
}

/* Returns the widest. */
static double own_spans(const struct range_counts *seen, enum range_method method, size_t first,
                        size_t end, double *spans)
{
    double widest = 0;
    for (size_t c = 0; c < seen->channels; c++) {
        spans[c] = own_span(seen, method, c, first, end);
        widest = fmax(widest, spans[c]);
    }
    return widest;
}

static double widened(struct widening w, double span, double widest)
{
    span = fmax(span, widest * narrowest);
    return w.headroom * pow(span, w.evenness) * pow(widest, 1 - w.evenness);
}

/* Adds the errors that values of fold `other` would have in ranges that another fold has chosen. */
static void add_errors(const struct range_counts *seen, size_t other, const double *spans,
                       double widest, double errors[COUNT(evennesses)][COUNT(headrooms)])
{
    struct histogram h;
    for (size_t c = 0; c < seen->channels; c++) {
        double full = (double)seen->high[c] - (double)seen->low[c];
        if (full <= 0)
            continue;
        make_histogram(seen, c, other, other + 1, &h);
        for (size_t e = 0; e < COUNT(evennesses); e++) {
            double span = widened((struct widening){evennesses[e], 1}, spans[c], widest);
            for (size_t r = 0; r < COUNT(headrooms); r++)
                errors[e][r] += error_of(&h, headrooms[r] * span / full);
        }
    }
}

static struct widening of_least_error(double errors[COUNT(evennesses)][COUNT(headrooms)])
{
    struct widening best = usual;
    double min = INFINITY;
    for (size_t e = 0; e < COUNT(evennesses); e++)
        for (size_t r = 0; r < COUNT(headrooms); r++)
            if (errors[e][r] < min) {
                min = errors[e][r];
                best = (struct widening){evennesses[e], headrooms[r]};
            }
    return best;
}

/* Whether there are pictures in both folds. */
static bool has_folds(const struct range_counts *seen)
{
    for (size_t f = 0; f < RANGE_FOLDS; f++) {
        uint64_t count = 0;
        for (size_t b = 0; b <= RANGE_BINS; b++)
            count += seen->counts[f * (RANGE_BINS + 1) + b];
        if (count == 0)
            return false;
    }
    return true;
}

/* By cross-validation. Uses `spans` as scratch. */
static struct widening choose_widening(const struct range_counts *seen, double *spans)
{
    double errors[COUNT(evennesses)][COUNT(headrooms)] = {{0}};
    for (size_t f = 0; f < RANGE_FOLDS; f++) {
        double widest = own_spans(seen, RANGE_MSE, f, f + 1, spans);
        if (widest > 0)
            add_errors(seen, RANGE_FOLDS - 1 - f, spans, widest, errors);
    }
    return of_least_error(errors);
}

void ranges_choose(const struct range_counts *seen, enum range_method method, double *spans)
{
    struct widening w = usual;
    if (method == RANGE_MSE && has_folds(seen))
        w = choose_widening(seen, spans);
    double widest = own_spans(seen, method, 0, RANGE_FOLDS, spans);
    for (size_t c = 0; c < seen->channels && widest > 0; c++)
        spans[c] = widened(w, spans[c], widest);
}

double ranges_mean(const struct range_counts *seen, size_t c)
{
    struct histogram h;
    make_histogram(seen, c, 0, RANGE_FOLDS, &h);
    return h.count[0] > 0 ? h.sum[0] / h.count[0] : 0;
}
