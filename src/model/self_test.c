#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "model/model.h"

enum {
    PATTERN = 4093, /* prime, so that it never lines up with rows or channels */
    STRIP = 4,      /* rows a call; there are three, at the top, in the middle, at the bottom */
    REF_STRIP = 1,  /* the reference is too slow to spend more on it */
    PIXELS = 3,     /* compared in a row */
    CHANNELS = 16,  /* compared in a pixel */
};

/* Of the sum of |a b|, for float32 sums in any order. */
static const double tolerance = 1e-5;

/* One layer on made-up numbers. */
struct trial {
    const struct layer *layer;
    const struct conv_kernel *kernel;
    float *x, *weights, *bias, *residual, *y;
    void *packed, *scratch;
};

static const struct conv_kernel *kernel_of(const struct network *network, size_t i)
{
    size_t count;
    const struct conv_kernel *const *all = kernel_conv_list(&count);
    const char *name = network_kernel_name(network, i);
    size_t k = 0;
    while (k < count && strcmp(all[k]->name, name) != 0)
        k++;
    CHECK(k < count);
    return all[k];
}

static size_t in_floats(const struct conv_shape *s)
{
    return (size_t)s->in_h * (size_t)s->in_w * (size_t)s->in_c;
}

static size_t out_floats(const struct conv_shape *s)
{
    return (size_t)s->out_h * (size_t)s->out_w * (size_t)s->out_c;
}

static size_t trial_bytes(const struct trial *t)
{
    const struct conv_shape *s = &t->layer->shape;
    const size_t parts[] = {in_floats(s) * sizeof(float),     conv_weight_count(s) * sizeof(float),
                            (size_t)s->out_c * sizeof(float), out_floats(s) * sizeof(float),
                            out_floats(s) * sizeof(float),    t->kernel->packed_size(s),
                            t->kernel->scratch_size(s)};
    size_t sum = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        sum += arena_rounded(parts[i]);
    return sum;
}

static void make_pattern(float pattern[PATTERN])
{
    uint32_t state = 1;
    for (int i = 0; i < PATTERN; i++) {
        state = state * 1664525 + 1013904223;
        pattern[i] = (float)(state >> 8) / (float)(1 << 23) - 1;
    }
}

static float *take_filled(struct arena *arena, size_t count, const float pattern[PATTERN],
                          size_t start)
{
    float *out = arena_take(arena, count * sizeof *out);
    for (size_t i = 0; i < count;) {
        size_t n = PATTERN - start < count - i ? PATTERN - start : count - i;
        memcpy(out + i, pattern + start, n * sizeof *out);
        i += n;
        start = 0;
    }
    return out;
}

static void set_up(struct trial *t, struct arena *arena, const float pattern[PATTERN])
{
    const struct conv_shape *s = &t->layer->shape;
    arena->used = 0;
    t->x = take_filled(arena, in_floats(s), pattern, 0);
    t->weights = take_filled(arena, conv_weight_count(s), pattern, 1000);
    t->bias = take_filled(arena, (size_t)s->out_c, pattern, 2000);
    t->residual = take_filled(arena, out_floats(s), pattern, 3000);
    t->y = arena_take(arena, out_floats(s) * sizeof(float));
    t->packed = arena_take(arena, t->kernel->packed_size(s));
    t->scratch = arena_take(arena, t->kernel->scratch_size(s));
    t->kernel->pack(s, t->weights, t->bias, t->packed);
}

/* One output of the convolution, and the sum of its terms' sizes. */
static double convolve(const struct trial *t, int row, int column, int channel, double *size)
{
    const struct conv_shape *s = &t->layer->shape;
    int each = s->in_c / s->groups, first = channel / (s->out_c / s->groups) * each;
    const float *w = t->weights + (size_t)channel * (size_t)(each * s->kernel * s->kernel);
    double sum = t->bias[channel];
    *size = fabs(sum);
    for (int ky = 0; ky < s->kernel; ky++)
        for (int kx = 0; kx < s->kernel; kx++) {
            int y = row * s->stride - s->pad + ky, x = column * s->stride - s->pad + kx;
            if (y < 0 || y >= s->in_h || x < 0 || x >= s->in_w)
                continue;
            const float *in = t->x + ((size_t)y * (size_t)s->in_w + (size_t)x) * (size_t)s->in_c;
            for (int c = 0; c < each; c++) {
                double term = (double)in[first + c] * w[(c * s->kernel + ky) * s->kernel + kx];
                sum += term;
                *size += fabs(term);
            }
        }
    return sum;
}

static bool is_right(const struct trial *t, int row, int column, int channel)
{
    const struct conv_shape *s = &t->layer->shape;
    size_t at =
        ((size_t)row * (size_t)s->out_w + (size_t)column) * (size_t)s->out_c + (size_t)channel;
    double size, right = convolve(t, row, column, channel, &size);
    if (t->layer->residual != LAYER_NO_VALUE) {
        right += t->residual[at];
        size += fabsf(t->residual[at]);
    }
    if (t->layer->relu && right < 0)
        right = 0;
    return fabs(t->y[at] - right) <= tolerance * size;
}

/* Number i of n that are spread evenly over 0..most. */
static int spread(int i, int n, int most)
{
    return (int)((int64_t)most * i / (n - 1));
}

static bool row_is_right(const struct trial *t, int row)
{
    const struct conv_shape *s = &t->layer->shape;
    for (int p = 0; p < PIXELS; p++)
        for (int c = 0; c < CHANNELS; c++)
            if (!is_right(t, row, spread(p, PIXELS, s->out_w - 1),
                          spread(c, CHANNELS, s->out_c - 1)))
                return false;
    return true;
}

static bool trial_passes(const struct trial *t)
{
    const struct conv_shape *s = &t->layer->shape;
    int most = strcmp(t->kernel->isa, "ref") == 0 ? REF_STRIP : STRIP;
    int strip = s->out_h < most ? s->out_h : most;
    for (int i = 0; i < 3; i++) {
        int begin = spread(i, 3, s->out_h - strip);
        memset(t->y, 0xff, out_floats(s) * sizeof *t->y); /* NaN */
        t->kernel->run(&(struct conv_call){
            .shape = s,
            .packed = t->packed,
            .x = t->x,
            .residual = t->layer->residual == LAYER_NO_VALUE ? NULL : t->residual,
            .y = t->y,
            .relu = t->layer->relu,
            .row_begin = begin,
            .row_end = begin + strip,
            .scratch = t->scratch,
        });
        if (!row_is_right(t, begin) || !row_is_right(t, begin + strip - 1))
            return false;
    }
    return true;
}

static bool same_work(const struct layer *a, const struct layer *b)
{
    return layer_has_weights(a) && a->relu == b->relu &&
           (a->residual == LAYER_NO_VALUE) == (b->residual == LAYER_NO_VALUE) &&
           memcmp(&a->shape, &b->shape, sizeof a->shape) == 0;
}

/* Whether layer i asks for something that no earlier layer does. */
static bool is_new(const struct network *network, size_t i)
{
    const struct layer *layer = network_layer(network, i);
    for (size_t k = 0; k < i; k++)
        if (same_work(network_layer(network, k), layer))
            return false;
    return layer_has_weights(layer);
}

static size_t largest_trial(const struct network *network)
{
    size_t most = 0;
    for (size_t i = 0; i < network_layer_count(network); i++) {
        if (!is_new(network, i))
            continue;
        struct trial t = {.layer = network_layer(network, i), .kernel = kernel_of(network, i)};
        size_t bytes = trial_bytes(&t);
        most = bytes > most ? bytes : most;
    }
    return most;
}

int model_self_test(const struct model *model, struct error *err)
{
    const struct network *network = model->network;
    float pattern[PATTERN];
    struct arena arena;
    int rc = arena_create(&arena, largest_trial(network), err);
    if (rc != ERR_OK)
        return error_prefix(err, rc, "self-test");
    make_pattern(pattern);
    for (size_t i = 0; rc == ERR_OK && i < network_layer_count(network); i++) {
        if (!is_new(network, i))
            continue;
        struct trial t = {.layer = network_layer(network, i), .kernel = kernel_of(network, i)};
        set_up(&t, &arena, pattern);
        if (!trial_passes(&t))
            rc = error_set(err, ERR_INTERNAL,
                           "self-test: layer %s is wrong on kernel %s (BLAS core %s); try another "
                           "OPENBLAS_CORETYPE or --isa",
                           t.layer->name, t.kernel->name, kernel_blas_core());
    }
    arena_destroy(&arena);
    return rc;
}
