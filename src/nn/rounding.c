#include "nn/rounding.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/openblas/matrix.h"
#include "nn/quantize.h"

enum { BLOCK = 64 };

/* Of the mean variance; is added to each. Without it, what a few pictures happen to have in common
 * would count, and a channel without variance could not be divided by. */
static const double damping = 1e-2, damping_max = 1;

struct problem {
    size_t inputs, outputs;
    size_t *order;      /* [inputs]: number i in the order of solution is this input */
    double *variances;  /* [inputs], in that order */
    double *covariance; /* [inputs][inputs], in that order; then the unit upper triangle */
    double *errors;     /* [inputs][outputs]: weight less its rounded value */
    double *carried;    /* [BLOCK][outputs] */
};

size_t rounding_bytes(size_t inputs, size_t outputs)
{
    return inputs * (sizeof(size_t) + sizeof(double)) + (inputs + BLOCK) * outputs * sizeof(double);
}

/* Copies the upper triangle of a[n][n] to the lower, in blocks that fit a cache. */
static void mirror(double *a, size_t n)
{
    for (size_t top = 0; top < n; top += BLOCK)
        for (size_t left = top; left < n; left += BLOCK)
            for (size_t i = top; i < n && i < top + BLOCK; i++)
                for (size_t j = left > i ? left : i + 1; j < n && j < left + BLOCK; j++)
                    a[j * n + i] = a[i * n + j];
}

static void exchange(double *a, double *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double kept = a[i];
        a[i] = b[i];
        b[i] = kept;
    }
}

/* Sorts the inputs by their variance, the smallest first. */
static void sort(struct problem *p)
{
    for (size_t i = 0; i < p->inputs; i++) {
        p->order[i] = i;
        p->variances[i] = p->covariance[i * p->inputs + i];
    }
    for (size_t i = 0; i < p->inputs; i++) {
        size_t least = i, kept = p->order[i];
        for (size_t j = i + 1; j < p->inputs; j++)
            least = p->variances[j] < p->variances[least] ? j : least;
        exchange(&p->variances[i], &p->variances[least], 1);
        p->order[i] = p->order[least];
        p->order[least] = kept;
    }
}

/* Puts the covariance into the order: row by row its columns, with the errors' memory as space, and
 * then the rows. */
static void reorder(struct problem *p)
{
    size_t n = p->inputs;
    for (double *row = p->covariance; row < p->covariance + n * n; row += n) {
        memcpy(p->errors, row, n * sizeof *row);
        for (size_t i = 0; i < n; i++)
            row[i] = p->errors[p->order[i]];
    }
    for (size_t i = 0; i < n; i++) {
        size_t from = p->order[i];
        while (from < i) /* moved when that place was filled */
            from = p->order[from];
        if (from != i)
            exchange(p->covariance + i * n, p->covariance + from * n, n);
    }
}

/* Sets the upper triangle to the lower's. */
static void restore(double *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = i + 1; j < n; j++)
            a[i * n + j] = a[j * n + i];
}

/* Sets the diagonal to the variances, with `part` of their mean added to each. */
static void regularize(struct problem *p, double part)
{
    size_t n = p->inputs;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += p->variances[i];
    for (size_t i = 0; i < n; i++)
        p->covariance[i * n + i] = p->variances[i] + part * sum / (double)n + FLT_MIN;
}

/* Decomposes the covariance and divides each row by its diagonal element. False: that cannot be. */
static bool decompose(struct problem *p)
{
    size_t n = p->inputs;
    bool done = false;
    for (double part = damping; !done && part <= damping_max; part *= 10) {
        regularize(p, part);
        done = matrix_cholesky(n, p->covariance);
        if (!done)
            restore(p->covariance, n);
    }
    for (size_t i = 0; done && i < n; i++) {
        double *row = p->covariance + i * n;
        for (size_t j = i + 1; j < n; j++)
            row[j] /= row[i];
    }
    return done;
}

/* Rounds the weights of input number i to floor or next integer, whichever is nearer to the weight
 * plus `carried`, [outputs]. */
static void round_input(const struct problem *p, size_t i, const double *exact,
                        const double *carried, uint8_t *rounding, size_t first)
{
    double *errors = p->errors + i * p->outputs;
    for (size_t o = 0; o < p->outputs; o++) {
        size_t at = o * p->inputs + p->order[i];
        int floor = quantize_floor(exact[at]);
        double low = quantize_clamp(floor), high = quantize_clamp(floor + 1), weight = exact[at];
        double rounded = fmin(fmax(rint(weight + carried[o]), low), high);
        size_t bit = first + at;
        errors[o] = weight - rounded;
        if (rounded > floor)
            rounding[bit / 8] |= (uint8_t)(1 << bit % 8);
    }
}

/* Rounds the weights of inputs [begin, end); those behind are done. */
static void round_block(const struct problem *p, size_t begin, size_t end, const double *exact,
                        uint8_t *rounding, size_t first)
{
    size_t n = p->inputs, m = p->outputs;
    matrix_multiply(end - begin, m, n - end, p->covariance + begin * n + end, n,
                    p->errors + end * m, p->carried);
    for (size_t i = end; i-- > begin;) {
        double *carried = p->carried + (i - begin) * m;
        for (size_t j = i + 1; j < end; j++)
            for (size_t o = 0; o < m; o++)
                carried[o] += p->covariance[i * n + j] * p->errors[j * m + o];
        round_input(p, i, exact, carried, rounding, first);
    }
}

static void solve(struct problem *p, const double *exact, uint8_t *rounding, size_t first)
{
    mirror(p->covariance, p->inputs);
    sort(p);
    reorder(p);
    if (!decompose(p)) /* each to the nearest */
        for (size_t i = 0; i < p->inputs * p->inputs; i++)
            p->covariance[i] = 0;
    for (size_t end = p->inputs; end > 0;) {
        size_t begin = end > BLOCK ? end - BLOCK : 0;
        round_block(p, begin, end, exact, rounding, first);
        end = begin;
    }
}

int rounding_choose(double *covariance, size_t inputs, const double *exact, size_t outputs,
                    uint8_t *rounding, size_t first, struct error *err)
{
    struct problem p = {
        .inputs = inputs,
        .outputs = outputs,
        .order = calloc(inputs, sizeof *p.order),
        .variances = calloc(inputs, sizeof *p.variances),
        .covariance = covariance,
        .errors = calloc(inputs, outputs * sizeof *p.errors),
        .carried = calloc(BLOCK, outputs * sizeof *p.carried),
    };
    bool complete = p.order && p.variances && p.errors && p.carried;
    if (complete)
        solve(&p, exact, rounding, first);
    free(p.order);
    free(p.variances);
    free(p.errors);
    free(p.carried);
    return complete ? ERR_OK : error_set(err, ERR_NO_MEMORY, "no memory to round weights");
}
