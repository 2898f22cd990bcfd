/* The paper's block in plain double arithmetic, straight from its equations and figures, and its
 * weights rewritten from one form to another. Batch norm is folded into the filters. */
#ifndef RESNEXT_TESTS_NN_FORMS_H
#define RESNEXT_TESTS_NN_FORMS_H

#include <stdbool.h>
#include <stddef.h>

enum { FORMS_MAX_FILTERS = 3 };

/* [height][width][channels]. `magnitude`, of the same shape, is the sum of |a b| over the products
 * and other terms that each value was last added up from. */
struct map {
    size_t height, width, channels;
    double *values, *magnitude;
};

/* weights [out][in / groups][kernel][kernel]; bias [out] or NULL. */
struct filter {
    size_t in, out, kernel, stride, groups;
    double *weights, *bias;
};

/* Filters one after the other, with ReLU between; all but the last have one width. */
struct chain {
    int depth;
    struct filter filters[FORMS_MAX_FILTERS];
};

enum shortcut { SHORTCUT_NONE, SHORTCUT_IDENTITY, SHORTCUT_PROJECTION };

/* A block as it is run: figure 3(c) if it has three filters, a basic block if it has two. */
struct block {
    struct chain chain;
    enum shortcut shortcut;
    struct filter projection;
};

struct map map_create(size_t height, size_t width, size_t channels);
struct map map_from_floats(size_t height, size_t width, size_t channels, const float *values);
void map_destroy(struct map *map);

struct filter filter_create(size_t in, size_t out, size_t kernel, size_t stride, size_t groups);
void filter_destroy(struct filter *filter);
void chain_destroy(struct chain *chain);
void block_destroy(struct block *block);

/* Convolution, padded by kernel / 2. */
struct map convolve(const struct filter *filter, const struct map *x);

/* Equations 1 and 2: adds up T_i(x) over `count` paths, each `size` bytes of `paths`, into `sum`. A
 * transform adds what its path makes of x. */
typedef void transform(const void *path, const struct map *x, struct map *sum);
void aggregate(transform *t, const void *paths, size_t size, size_t count, const struct map *x,
               struct map *sum);

/* Equation 1's transform: w_i x_i, for all neurons that read input i. */
struct synapse {
    size_t input;
    const double *weights; /* [neurons], `step` apart */
    size_t step;
};
transform transform_synapse;

/* Equation 2's transform: the chain of a path, a struct chain. */
transform transform_chain;

/* The block's hidden channels divided among `count` paths, which are `count` chains; its groups, if
 * it has any, must be as many. The last bias stays with the block. */
struct chain *paths_of_block(const struct block *block, size_t count);
void paths_destroy(struct chain *paths, size_t count);

/* The way back: the block's chain from its paths, without the last bias. */
struct chain chain_of_paths(const struct chain *paths, size_t count);

/* The block's output before its last ReLU, in the three forms of figure 3. */
struct map form_a(const struct block *block, const struct chain *paths, size_t count,
                  const struct map *x);
struct map form_b(const struct block *block, const struct chain *paths, size_t count,
                  const struct map *x);
struct map form_c(const struct block *block, const struct map *x);

#endif
