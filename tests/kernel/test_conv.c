/* The checker: every kernel against plain loops in double, on shapes around its block sizes. */
#include <math.h>
#include <string.h>

#include "kernel/kernel.h"
#include "tests/random.h"
#include "tests/suite.h"

struct shape_case {
    int height, width, in_c, out_c, kernel, stride, groups, images;
};

static const struct shape_case cases[] = {
    {1, 1, 1, 1, 1, 1, 1, 1},        {1, 1, 512, 10, 1, 1, 1, 3},     {7, 7, 64, 48, 1, 1, 1, 2},
    {15, 13, 40, 24, 1, 1, 1, 1},    {14, 14, 32, 64, 1, 2, 1, 2},    {9, 7, 5, 3, 1, 2, 1, 1},
    {25, 27, 256, 64, 1, 1, 1, 1},   {40, 41, 96, 32, 1, 2, 1, 1},    {31, 33, 3, 16, 7, 2, 1, 2},
    {32, 32, 3, 32, 3, 1, 1, 1},     {11, 9, 8, 12, 3, 1, 1, 2},      {10, 10, 16, 16, 3, 2, 1, 1},
    {14, 14, 128, 128, 3, 1, 32, 2}, {14, 15, 128, 128, 3, 2, 32, 1}, {9, 9, 64, 64, 3, 1, 8, 1},
    {7, 7, 128, 128, 3, 1, 8, 3},    {8, 6, 64, 64, 3, 2, 4, 1},      {5, 5, 96, 96, 3, 1, 3, 1},
    {1, 1, 16, 16, 3, 1, 4, 1},      {2, 3, 12, 24, 3, 2, 4, 2},      {56, 3, 16, 16, 3, 1, 4, 1},
    {3, 70, 20, 20, 3, 1, 5, 1},     {13, 13, 6, 9, 3, 1, 3, 1},      {6, 6, 8, 8, 5, 1, 2, 1},
    {60, 60, 32, 32, 3, 1, 8, 1},    {30, 30, 24, 24, 3, 2, 8, 2},
};

static struct conv_shape shape_of(const struct shape_case *c)
{
    int pad = c->kernel / 2;
    return (struct conv_shape){
        .in_h = c->height,
        .in_w = c->width,
        .in_c = c->in_c,
        .out_h = (c->height + 2 * pad - c->kernel) / c->stride + 1,
        .out_w = (c->width + 2 * pad - c->kernel) / c->stride + 1,
        .out_c = c->out_c,
        .kernel = c->kernel,
        .stride = c->stride,
        .pad = pad,
        .groups = c->groups,
    };
}

/* Everything one case needs. */
struct data {
    struct conv_shape shape;
    size_t rows, in, out;
    float *x, *weights, *bias, *residual;
    double *expected, *magnitude; /* of y before ReLU, and the sum of |a b| behind it */
};

static void *aligned(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 64) / 64 * 64);
    ck_assert_ptr_nonnull(p);
    return p;
}

static void expect_pixel(struct data *d, size_t row, int ox)
{
    const struct conv_shape *s = &d->shape;
    size_t image = row / (size_t)s->out_h;
    int oy = (int)(row % (size_t)s->out_h), in = s->in_c / s->groups, out = s->out_c / s->groups;
    for (int oc = 0; oc < s->out_c; oc++) {
        size_t at = (row * (size_t)s->out_w + (size_t)ox) * (size_t)s->out_c + (size_t)oc;
        double sum = (double)d->bias[oc] + (double)d->residual[at];
        double magnitude = fabs((double)d->bias[oc]) + fabs((double)d->residual[at]);
        for (int ky = 0; ky < s->kernel; ky++)
            for (int kx = 0; kx < s->kernel; kx++)
                for (int c = 0; c < in; c++) {
                    int y = oy * s->stride + ky - s->pad, x = ox * s->stride + kx - s->pad;
                    if (y < 0 || x < 0 || y >= s->in_h || x >= s->in_w)
                        continue;
                    size_t pixel =
                        (image * (size_t)s->in_h + (size_t)y) * (size_t)s->in_w + (size_t)x;
                    size_t tap =
                        (((size_t)oc * (size_t)in + (size_t)c) * (size_t)s->kernel + (size_t)ky) *
                            (size_t)s->kernel +
                        (size_t)kx;
                    double a = (double)d->x[pixel * (size_t)s->in_c + (size_t)(oc / out * in + c)];
                    sum += a * (double)d->weights[tap];
                    magnitude += fabs(a * (double)d->weights[tap]);
                }
        d->expected[at] = sum;
        d->magnitude[at] = magnitude;
    }
}

static void data_create(struct data *d, const struct shape_case *c)
{
    uint64_t seed = 1 + (uint64_t)(c - cases);
    struct conv_shape s = d->shape = shape_of(c);
    size_t weights = (size_t)(s.out_c * (s.in_c / s.groups) * s.kernel * s.kernel);
    d->rows = (size_t)(c->images * s.out_h);
    d->in = (size_t)(c->images * s.in_h * s.in_w * s.in_c);
    d->out = d->rows * (size_t)(s.out_w * s.out_c);
    d->x = aligned(d->in * sizeof(float));
    d->weights = aligned(weights * sizeof(float));
    d->bias = aligned((size_t)s.out_c * sizeof(float));
    d->residual = aligned(d->out * sizeof(float));
    d->expected = aligned(d->out * sizeof(double));
    d->magnitude = aligned(d->out * sizeof(double));
    random_floats(&seed, d->x, d->in);
    random_floats(&seed, d->weights, weights);
    random_floats(&seed, d->bias, (size_t)s.out_c);
    random_floats(&seed, d->residual, d->out);
    for (size_t row = 0; row < d->rows; row++)
        for (int ox = 0; ox < s.out_w; ox++)
            expect_pixel(d, row, ox);
}

static void data_destroy(struct data *d)
{
    free(d->x);
    free(d->weights);
    free(d->bias);
    free(d->residual);
    free(d->expected);
    free(d->magnitude);
}

/* Runs rows [begin, end) with ReLU or without, the residual apart, in place of y, or absent. */
enum residual_place { RESIDUAL_APART, RESIDUAL_IN_PLACE, RESIDUAL_NONE };

static void check_call(const struct conv_kernel *kernel, const struct data *d, const void *packed,
                       size_t begin, size_t end, bool relu, enum residual_place place)
{
    const struct conv_shape *s = &d->shape;
    size_t row = (size_t)(s->out_w * s->out_c);
    float *y = aligned(d->out * sizeof *y);
    void *scratch = aligned(kernel->scratch_size(s));
    memset(y, 0x5a, d->out * sizeof *y);
    float untouched;
    memcpy(&untouched, y, sizeof untouched);
    if (place == RESIDUAL_IN_PLACE)
        memcpy(y + begin * row, d->residual + begin * row, (end - begin) * row * sizeof *y);
    kernel->run(&(struct conv_call){
        .shape = s,
        .packed = packed,
        .x = d->x,
        .residual = place == RESIDUAL_APART      ? d->residual
                    : place == RESIDUAL_IN_PLACE ? y
                                                 : NULL,
        .y = y,
        .relu = relu,
        .row_begin = (int)begin,
        .row_end = (int)end,
        .scratch = scratch,
    });
    for (size_t i = 0; i < d->out; i++) {
        if (i < begin * row || i >= end * row) {
            ck_assert_msg(memcmp(&y[i], &untouched, sizeof untouched) == 0,
                          "%s wrote outside its rows at %zu", kernel->name, i);
            continue;
        }
        double want = d->expected[i] - (place == RESIDUAL_NONE ? (double)d->residual[i] : 0);
        want = relu && want < 0 ? 0 : want;
        ck_assert_msg(fabs((double)y[i] - want) <= 1e-5 * d->magnitude[i],
                      "%s, %dx%dx%d -> %d, kernel %d, stride %d, groups %d, at %zu: %g, not %g",
                      kernel->name, s->in_h, s->in_w, s->in_c, s->out_c, s->kernel, s->stride,
                      s->groups, i, (double)y[i], want);
    }
    free(scratch);
    free(y);
}

static void check_kernel(const struct conv_kernel *kernel, const struct data *d)
{
    void *packed = aligned(kernel->packed_size(&d->shape));
    kernel->pack(&d->shape, d->weights, d->bias, packed);
    check_call(kernel, d, packed, 0, d->rows, false, RESIDUAL_APART);
    check_call(kernel, d, packed, 0, d->rows, true, RESIDUAL_IN_PLACE);
    check_call(kernel, d, packed, d->rows / 3, d->rows - d->rows / 4, true, RESIDUAL_NONE);
    check_call(kernel, d, packed, d->rows / 2, d->rows / 2 + 1, false, RESIDUAL_IN_PLACE);
    check_call(kernel, d, packed, 0, 0, false, RESIDUAL_APART);
    free(packed);
}

START_TEST(every_kernel_equals_plain_loops)
{
    size_t kernels, runs[16] = {0};
    const struct conv_kernel *const *list = kernel_conv_list(&kernels);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct data d;
        data_create(&d, &cases[c]);
        for (size_t k = 0; k < kernels; k++)
            if (list[k]->supports(&d.shape)) {
                check_kernel(list[k], &d);
                runs[k]++;
            }
        data_destroy(&d);
    }
    for (size_t k = 0; k < kernels; k++)
        ck_assert_msg(runs[k] > 0, "no shape reached %s", list[k]->name);
}
END_TEST

TEST_MAIN("kernel/conv", 120, every_kernel_equals_plain_loops)
