/* The paper's equivalences, on the feature maps that real pictures give: equation 1, the three
 * forms of figure 3 (equations 2 and 3), figure 4, and the program's own way against all of them.
 */
#include "tests/nn/forms.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/nn/production.h"
#include "tests/random.h"
#include "tests/suite.h"

/* How far the forms may be apart, and the program's float32 from them, as shares of the sum of
 * |a b| behind each number. */
static const double forms_limit = 1e-12, float32_limit = 1e-5;

/* The furthest that was seen, for the log. */
struct furthest {
    double forms, float32;
};

/* A block to compare: how many paths it has, where it stands, and what is different about it. */
struct place {
    size_t paths;
    const char *prefix;
    bool drop_shortcut;
};

static void print_furthest(const char *what, const struct furthest *f)
{
    printf("# %s: forms apart by %.1e, the program by %.1e, of the sum of |a b|\n", what, f->forms,
           f->float32);
}

static struct filter filter_of(const struct cut *cut, size_t i)
{
    const struct conv_shape *s = &cut->layers[i].shape;
    struct filter f = filter_create((size_t)s->in_c, (size_t)s->out_c, (size_t)s->kernel,
                                    (size_t)s->stride, (size_t)s->groups);
    size_t each = f.in / f.groups * f.kernel * f.kernel;
    for (size_t w = 0; w < f.out * each; w++)
        f.weights[w] = (double)cut->weights[i][w];
    for (size_t o = 0; o < f.out; o++)
        f.bias[o] = (double)cut->bias[i][o];
    return f;
}

/* The layer before the last is the projection if the last adds its output. */
static struct block block_of(const struct cut *cut)
{
    struct block block = {0};
    size_t last = cut->count - 1;
    int residual = cut->layers[last].residual;
    block.shortcut = residual == LAYER_NO_VALUE ? SHORTCUT_NONE
                     : residual == 0            ? SHORTCUT_IDENTITY
                                                : SHORTCUT_PROJECTION;
    for (size_t i = 0; i < cut->count; i++) {
        if ((int)i + 1 == residual)
            block.projection = filter_of(cut, i);
        else
            block.chain.filters[block.chain.depth++] = filter_of(cut, i);
    }
    return block;
}

/* Takes away the shortcut: what is left is equation 2. */
static void drop_shortcut(struct cut *cut)
{
    size_t last = cut->count - 1;
    if (cut->layers[last].residual > 0) {
        free(cut->weights[last - 1]);
        free(cut->bias[last - 1]);
        cut->layers[last - 1] = cut->layers[last];
        cut->weights[last - 1] = cut->weights[last];
        cut->bias[last - 1] = cut->bias[last];
        last--;
        cut->count--;
    }
    cut->layers[last].residual = LAYER_NO_VALUE;
}

/* Biases that matter: those of a new model are 0. */
static void shift_biases(struct cut *cut, uint64_t seed)
{
    for (size_t i = 0; i < cut->count; i++) {
        size_t count = (size_t)cut->layers[i].shape.out_c;
        float *shift = malloc(count * sizeof *shift);
        ck_assert_ptr_nonnull(shift);
        random_floats(&seed, shift, count);
        for (size_t c = 0; c < count; c++)
            cut->bias[i][c] += 0.25F * shift[c];
        free(shift);
    }
}

static size_t count_of(const struct map *m)
{
    return m->height * m->width * m->channels;
}

/* The furthest that `b` is from `a`, in shares of a's magnitudes. */
static double distance(const struct map *a, const struct map *b)
{
    double max = 0;
    ck_assert_uint_eq(count_of(a), count_of(b));
    for (size_t i = 0; i < count_of(a); i++)
        max = fmax(max, fabs(a->values[i] - b->values[i]) / (a->magnitude[i] + 1e-300));
    return max;
}

static double distance_of_floats(const struct map *a, bool rectified, const float *b)
{
    double max = 0;
    for (size_t i = 0; i < count_of(a); i++) {
        double value = rectified ? fmax(a->values[i], 0) : a->values[i];
        max = fmax(max, fabs(value - (double)b[i]) / (a->magnitude[i] + 1e-300));
    }
    return max;
}

/* Numbers that are all there and not all the same: a comparison of zeros would show nothing. */
static void check_alive(const struct map *m)
{
    double sum = 0, square = 0, count = (double)count_of(m);
    for (size_t i = 0; i < count_of(m); i++) {
        ck_assert(isfinite(m->values[i]));
        sum += m->values[i];
        square += m->values[i] * m->values[i];
    }
    ck_assert_msg(square / count - sum / count * (sum / count) > 1e-4, "a dead map");
}

static void check_same_filters(const struct chain *a, const struct chain *b)
{
    for (int n = 0; n < a->depth; n++) {
        const struct filter *f = &a->filters[n], *g = &b->filters[n];
        size_t count = f->out * (f->in / f->groups) * f->kernel * f->kernel;
        ck_assert_uint_eq(f->groups, g->groups);
        ck_assert_mem_eq(f->weights, g->weights, count * sizeof *f->weights);
        if (n + 1 < a->depth)
            ck_assert_mem_eq(f->bias, g->bias, f->out * sizeof *f->bias);
    }
}

static void compare_forms(const struct block *block, size_t paths, const struct map *x,
                          struct map *c, struct furthest *furthest)
{
    struct chain *path = paths_of_block(block, paths), again = chain_of_paths(path, paths);
    struct map a = form_a(block, path, paths, x), b = form_b(block, path, paths, x);
    *c = form_c(block, x);
    check_same_filters(&block->chain, &again);
    check_alive(c);
    furthest->forms = fmax(furthest->forms, fmax(distance(&a, c), distance(&a, &b)));
    furthest->forms = fmax(furthest->forms, distance(&b, c));
    map_destroy(&a);
    map_destroy(&b);
    chain_destroy(&again);
    paths_destroy(path, paths);
}

static void compare_program(const struct cut *cut, const float *x, const struct map *expected,
                            struct furthest *furthest)
{
    bool rectified = cut->layers[cut->count - 1].relu;
    for (const char *const *isa = kernel_isa_choices + 1; *isa; isa++) {
        struct kernel_isas isas;
        if (!kernel_isas_select(*isa, &isas))
            continue;
        float *y = cut_run(cut, *isa, x);
        double off = distance_of_floats(expected, rectified, y);
        ck_assert_msg(off <= float32_limit, "%s on %s: off by %g", cut->layers[0].name, *isa, off);
        furthest->float32 = fmax(furthest->float32, off);
        free(y);
    }
}

/* What the cut reads, as the program computes it (to be freed), and as a map. */
static float *input_of(const struct cut *cut, const struct source *source, struct map *x)
{
    const struct conv_shape *s = &cut->layers[0].shape;
    float *values = source_value(source, cut->input);
    *x = map_from_floats((size_t)s->in_h, (size_t)s->in_w, (size_t)s->in_c, values);
    check_alive(x);
    return values;
}

static void compare_block(const struct source *source, const struct place *place,
                          struct furthest *furthest)
{
    struct cut cut;
    struct map c;
    cut_block(&cut, source, place->prefix);
    if (place->drop_shortcut)
        drop_shortcut(&cut);
    shift_biases(&cut, 1 + cut.input);
    struct map x;
    float *values = input_of(&cut, source, &x);
    struct block block = block_of(&cut);
    compare_forms(&block, place->paths, &x, &c, furthest);
    ck_assert_msg(furthest->forms <= forms_limit, "%s, %zu paths: forms apart by %g", place->prefix,
                  place->paths, furthest->forms);
    compare_program(&cut, values, &c, furthest);
    block_destroy(&block);
    map_destroy(&x);
    map_destroy(&c);
    free(values);
    cut_destroy(&cut);
}

static void check_stride_and_shortcut(const struct source *source, const char *prefix, int stride,
                                      enum shortcut shortcut)
{
    struct cut cut;
    cut_block(&cut, source, prefix);
    int product = 1, residual = cut.layers[cut.count - 1].residual;
    for (size_t i = 0; i < cut.count; i++)
        product *= (int)i + 1 == residual ? 1 : cut.layers[i].shape.stride;
    ck_assert_int_eq(product, stride);
    ck_assert_int_eq(residual > 0, shortcut == SHORTCUT_PROJECTION);
    cut_destroy(&cut);
}

/* Strides 1 and 2, each with a projection and without; stride 2 without one is equation 2 alone. */
static void compare_blocks(const struct source *source, size_t paths, const char *what)
{
    const struct place places[] = {
        {paths, "layer1.0", false}, {paths, "layer1.1", false}, {paths, "layer2.0", false},
        {paths, "layer2.0", true},  {paths, "layer2.1", false},
    };
    struct furthest furthest = {0};
    check_stride_and_shortcut(source, "layer1.0", 1, SHORTCUT_PROJECTION);
    check_stride_and_shortcut(source, "layer1.1", 1, SHORTCUT_IDENTITY);
    check_stride_and_shortcut(source, "layer2.0", 2, SHORTCUT_PROJECTION);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        compare_block(source, &places[i], &furthest);
    print_furthest(what, &furthest);
}

/* Figure 3 at the cardinalities of table 2, and 64. */
static void compare_template(const char *template, size_t paths)
{
    struct source source;
    source_init(&source, template, paths, "flowers_422.jpg");
    ck_assert_int_eq(source.template.stages[0].cardinality, (int)paths);
    compare_blocks(&source, paths, template);
    source_close(&source);
}

START_TEST(figure_3_forms_are_equal_for_C_1)
{
    compare_template("blocks=2,2:C=1:d=64:size=40", 1);
}
END_TEST

START_TEST(figure_3_forms_are_equal_for_C_2)
{
    compare_template("blocks=2,2:C=2:d=40:size=40", 2);
}
END_TEST

START_TEST(figure_3_forms_are_equal_for_C_8)
{
    compare_template("blocks=2,2:C=8:d=14:size=40", 8);
}
END_TEST

START_TEST(figure_3_forms_are_equal_for_C_32)
{
    compare_template("blocks=2,2:C=32:d=4:size=40", 32);
}
END_TEST

START_TEST(figure_3_forms_are_equal_for_C_64)
{
    compare_template("blocks=2,2:C=64:d=4:size=40", 64);
}
END_TEST

START_TEST(figure_3_forms_are_equal_in_a_trained_model)
{
    struct source source;
    const char *top = getenv("top_srcdir");
    char folder[1024];
    snprintf(folder, sizeof folder, "%s/models/resnext29-cifar10", top ? top : ".");
    source_open(&source, folder, "mare.jpg");
    compare_blocks(&source, 8, "resnext29-cifar10");
    source_close(&source);
}
END_TEST

/* Figure 4: paths of depth two are slices of one wide dense block. */
START_TEST(figure_4_a_block_of_depth_two_is_wide_and_dense)
{
    static const struct place places[] = {
        {32, "layer1.0", false}, /* identity: stem and stage are 64 wide */
        {32, "layer2.0", false}, /* projection, stride 2 */
        {64, "layer2.1", false},
        {1, "layer1.1", false},
    };
    struct furthest furthest = {0};
    struct source source;
    source_init(&source, "blocks=2,2:C=1:d=128:block=basic:size=40", 4, "flowers_422.jpg");
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        compare_block(&source, &places[i], &furthest);
    print_furthest("figure 4", &furthest);
    source_close(&source);
}
END_TEST

/* Equation 1 on one layer: every neuron is split, transform (w_i x_i), aggregate. */
static void compare_neurons(const struct source *source, const char *name,
                            struct furthest *furthest)
{
    struct cut cut;
    cut_layers(&cut, source, source_find(source, name), 1);
    struct map x;
    float *values = input_of(&cut, source, &x);
    struct filter f = filter_of(&cut, 0);
    struct map inner = convolve(&f, &x), sum = map_create(x.height, x.width, f.out);
    struct synapse *synapses = calloc(f.in, sizeof *synapses);
    ck_assert_ptr_nonnull(synapses);
    for (size_t d = 0; d < f.in; d++)
        synapses[d] = (struct synapse){d, f.weights + d, f.in};
    aggregate(transform_synapse, synapses, sizeof *synapses, f.in, &x, &sum);
    for (size_t k = 0; k < count_of(&sum); k++)
        sum.values[k] += f.bias[k % f.out];
    check_alive(&sum);
    furthest->forms = fmax(furthest->forms, distance(&inner, &sum));
    ck_assert_msg(furthest->forms <= forms_limit, "%s: apart by %g", name, furthest->forms);
    compare_program(&cut, values, &inner, furthest);
    free(synapses);
    map_destroy(&sum);
    map_destroy(&inner);
    map_destroy(&x);
    filter_destroy(&f);
    free(values);
    cut_destroy(&cut);
}

START_TEST(equation_1_a_neuron_splits_transforms_aggregates)
{
    struct furthest furthest = {0};
    struct source source;
    source_init(&source, "blocks=1,1:C=32:d=4:size=40", 1, "flowers_422.jpg");
    compare_neurons(&source, "fc", &furthest);
    compare_neurons(&source, "layer1.0.conv1", &furthest);
    print_furthest("equation 1", &furthest);
    source_close(&source);
}
END_TEST

TEST_MAIN("nn/forms", 120, equation_1_a_neuron_splits_transforms_aggregates,
          figure_3_forms_are_equal_for_C_1, figure_3_forms_are_equal_for_C_2,
          figure_3_forms_are_equal_for_C_8, figure_3_forms_are_equal_for_C_32,
          figure_3_forms_are_equal_for_C_64, figure_3_forms_are_equal_in_a_trained_model,
          figure_4_a_block_of_depth_two_is_wide_and_dense)
