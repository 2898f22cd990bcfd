#include "tests/nn/forms.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static double *doubles(size_t count)
{
    double *p = calloc(count, sizeof *p);
    ck_assert_ptr_nonnull(p);
    return p;
}

struct map map_create(size_t height, size_t width, size_t channels)
{
    size_t count = height * width * channels;
    return (struct map){height, width, channels, doubles(count), doubles(count)};
}

static size_t map_count(const struct map *m)
{
    return m->height * m->width * m->channels;
}

struct map map_from_floats(size_t height, size_t width, size_t channels, const float *values)
{
    struct map m = map_create(height, width, channels);
    for (size_t i = 0; i < map_count(&m); i++) {
        m.values[i] = (double)values[i];
        m.magnitude[i] = fabs(m.values[i]);
    }
    return m;
}

void map_destroy(struct map *map)
{
    free(map->values);
    free(map->magnitude);
}

static size_t taps(const struct filter *f)
{
    return f->in / f->groups * f->kernel * f->kernel;
}

struct filter filter_create(size_t in, size_t out, size_t kernel, size_t stride, size_t groups)
{
    struct filter f = {.in = in, .out = out, .kernel = kernel, .stride = stride, .groups = groups};
    f.weights = doubles(out * taps(&f));
    f.bias = doubles(out);
    return f;
}

void filter_destroy(struct filter *filter)
{
    free(filter->weights);
    free(filter->bias);
}

void chain_destroy(struct chain *chain)
{
    for (int i = 0; i < chain->depth; i++)
        filter_destroy(&chain->filters[i]);
}

void block_destroy(struct block *block)
{
    chain_destroy(&block->chain);
    filter_destroy(&block->projection);
}

/* Adds the products of output `o` at output pixel (oy, ox). */
static void convolve_at(const struct filter *f, const struct map *x, size_t oy, size_t ox, size_t o,
                        double *value, double *magnitude)
{
    size_t each = f->in / f->groups, first = o / (f->out / f->groups) * each, pad = f->kernel / 2;
    const double *weights = f->weights + o * taps(f);
    for (size_t ky = 0; ky < f->kernel; ky++)
        for (size_t kx = 0; kx < f->kernel; kx++) {
            size_t y = oy * f->stride + ky - pad, column = ox * f->stride + kx - pad;
            if (y >= x->height || column >= x->width) /* also below 0, which wraps around */
                continue;
            const double *pixel = x->values + (y * x->width + column) * x->channels + first;
            for (size_t i = 0; i < each; i++) {
                double product = pixel[i] * weights[(i * f->kernel + ky) * f->kernel + kx];
                *value += product;
                *magnitude += fabs(product);
            }
        }
}

static void add_convolution(const struct filter *f, const struct map *x, struct map *sum)
{
    size_t at = 0;
    for (size_t y = 0; y < sum->height; y++)
        for (size_t column = 0; column < sum->width; column++)
            for (size_t o = 0; o < f->out; o++, at++)
                convolve_at(f, x, y, column, o, &sum->values[at], &sum->magnitude[at]);
}

static void add_bias(const struct filter *f, struct map *sum)
{
    for (size_t i = 0; f->bias && i < map_count(sum); i++) {
        sum->values[i] += f->bias[i % f->out];
        sum->magnitude[i] += fabs(f->bias[i % f->out]);
    }
}

static void add_map(const struct map *term, struct map *sum)
{
    for (size_t i = 0; i < map_count(sum); i++) {
        sum->values[i] += term->values[i];
        sum->magnitude[i] += term->magnitude[i];
    }
}

static struct map strided(const struct map *x, size_t stride, size_t channels)
{
    return map_create((x->height - 1) / stride + 1, (x->width - 1) / stride + 1, channels);
}

struct map convolve(const struct filter *f, const struct map *x)
{
    struct map y = strided(x, f->stride, f->out);
    add_convolution(f, x, &y);
    add_bias(f, &y);
    return y;
}

static void rectify(struct map *m)
{
    for (size_t i = 0; i < map_count(m); i++)
        m->values[i] = fmax(m->values[i], 0);
}

/* What the last filter of a chain reads. */
static struct map hidden(const struct chain *chain, const struct map *x)
{
    struct map h = convolve(&chain->filters[0], x);
    rectify(&h);
    for (int i = 1; i + 1 < chain->depth; i++) {
        struct map next = convolve(&chain->filters[i], &h);
        map_destroy(&h);
        h = next;
        rectify(&h);
    }
    return h;
}

static const struct filter *last(const struct chain *chain)
{
    return &chain->filters[chain->depth - 1];
}

void aggregate(transform *t, const void *paths, size_t size, size_t count, const struct map *x,
               struct map *sum)
{
    for (size_t i = 0; i < count; i++)
        t((const char *)paths + i * size, x, sum);
}

void transform_synapse(const void *path, const struct map *x, struct map *sum)
{
    const struct synapse *s = path;
    for (size_t i = 0; i < map_count(sum); i++) {
        size_t pixel = i / sum->channels, neuron = i % sum->channels;
        double product = s->weights[neuron * s->step] * x->values[pixel * x->channels + s->input];
        sum->values[i] += product;
        sum->magnitude[i] += fabs(product);
    }
}

void transform_chain(const void *path, const struct map *x, struct map *sum)
{
    const struct chain *chain = path;
    struct map h = hidden(chain, x), y = convolve(last(chain), &h);
    add_map(&y, sum);
    map_destroy(&y);
    map_destroy(&h);
}

/* Outputs [first, first + count) of a filter with one group, or all outputs of those groups. */
static struct filter take_outputs(const struct filter *f, size_t first, size_t count)
{
    struct filter part = filter_create(f->in / f->groups, count, f->kernel, f->stride, 1);
    memcpy(part.weights, f->weights + first * taps(f), count * taps(f) * sizeof *part.weights);
    memcpy(part.bias, f->bias + first, count * sizeof *part.bias);
    return part;
}

/* The part of a filter that reads inputs [first, first + count), without bias. */
static struct filter take_inputs(const struct filter *f, size_t first, size_t count)
{
    struct filter part = filter_create(count, f->out, f->kernel, f->stride, 1);
    size_t area = f->kernel * f->kernel;
    for (size_t o = 0; o < f->out; o++)
        memcpy(part.weights + o * count * area, f->weights + (o * f->in + first) * area,
               count * area * sizeof *part.weights);
    free(part.bias);
    part.bias = NULL;
    return part;
}

struct chain *paths_of_block(const struct block *block, size_t count)
{
    const struct chain *chain = &block->chain;
    size_t width = chain->filters[0].out / count;
    struct chain *paths = calloc(count, sizeof *paths);
    ck_assert_ptr_nonnull(paths);
    for (size_t i = 0; i < count; i++) {
        paths[i].depth = chain->depth;
        for (int n = 0; n + 1 < chain->depth; n++) {
            ck_assert(n == 0 || chain->filters[n].groups == count);
            paths[i].filters[n] = take_outputs(&chain->filters[n], i * width, width);
        }
        paths[i].filters[chain->depth - 1] = take_inputs(last(chain), i * width, width);
    }
    return paths;
}

void paths_destroy(struct chain *paths, size_t count)
{
    for (size_t i = 0; i < count; i++)
        chain_destroy(&paths[i]);
    free(paths);
}

static struct filter join_outputs(const struct chain *paths, size_t count, int n)
{
    const struct filter *f = &paths[0].filters[n];
    size_t groups = n == 0 ? 1 : count, each = f->out * taps(f);
    struct filter all = filter_create(f->in * groups, f->out * count, f->kernel, f->stride, groups);
    for (size_t i = 0; i < count; i++) {
        memcpy(all.weights + i * each, paths[i].filters[n].weights, each * sizeof *all.weights);
        memcpy(all.bias + i * f->out, paths[i].filters[n].bias, f->out * sizeof *all.bias);
    }
    return all;
}

static struct filter join_inputs(const struct chain *paths, size_t count)
{
    const struct filter *f = last(&paths[0]);
    struct filter all = filter_create(f->in * count, f->out, f->kernel, f->stride, 1);
    size_t each = taps(f);
    for (size_t i = 0; i < count; i++)
        for (size_t o = 0; o < f->out; o++)
            memcpy(all.weights + (o * count + i) * each, last(&paths[i])->weights + o * each,
                   each * sizeof *all.weights);
    return all;
}

struct chain chain_of_paths(const struct chain *paths, size_t count)
{
    struct chain chain = {.depth = paths[0].depth};
    for (int n = 0; n + 1 < chain.depth; n++)
        chain.filters[n] = join_outputs(paths, count, n);
    chain.filters[chain.depth - 1] = join_inputs(paths, count);
    return chain;
}

/* The terms that no form divides: last bias and shortcut. */
static struct map begin_sum(const struct block *block, const struct map *x)
{
    size_t stride = 1;
    for (int i = 0; i < block->chain.depth; i++)
        stride *= block->chain.filters[i].stride;
    struct map sum = strided(x, stride, last(&block->chain)->out);
    add_bias(last(&block->chain), &sum);
    if (block->shortcut == SHORTCUT_IDENTITY)
        add_map(x, &sum);
    if (block->shortcut == SHORTCUT_PROJECTION) {
        add_convolution(&block->projection, x, &sum);
        add_bias(&block->projection, &sum);
    }
    return sum;
}

struct map form_a(const struct block *block, const struct chain *paths, size_t count,
                  const struct map *x)
{
    struct map sum = begin_sum(block, x);
    aggregate(transform_chain, paths, sizeof *paths, count, x, &sum);
    return sum;
}

static void put_channels(const struct map *part, size_t first, struct map *all)
{
    for (size_t p = 0; p < all->height * all->width; p++)
        memcpy(all->values + p * all->channels + first, part->values + p * part->channels,
               part->channels * sizeof *all->values);
}

struct map form_b(const struct block *block, const struct chain *paths, size_t count,
                  const struct map *x)
{
    struct map all = {0}, sum = begin_sum(block, x);
    for (size_t i = 0; i < count; i++) {
        struct map h = hidden(&paths[i], x);
        if (i == 0)
            all = map_create(h.height, h.width, h.channels * count);
        put_channels(&h, i * h.channels, &all);
        map_destroy(&h);
    }
    add_convolution(last(&block->chain), &all, &sum);
    map_destroy(&all);
    return sum;
}

struct map form_c(const struct block *block, const struct map *x)
{
    struct map sum = begin_sum(block, x), h = hidden(&block->chain, x);
    add_convolution(last(&block->chain), &h, &sum);
    map_destroy(&h);
    return sum;
}
