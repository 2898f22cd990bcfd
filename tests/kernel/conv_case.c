#include "tests/kernel/conv_case.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "tests/random.h"

enum { MAX_CASES = 256, LARGEST_WEIGHT = 127 };

/* One group. Pixels around blocks of 14, 7, 6, 4, 3, 2, 1, channels around panels of 16 and 32,
 * inputs around dwords, and pixels that are 4096 bytes apart. */
static const struct conv_case dense[] = {
    {1, 1, 1, 1, 1, 1, 1, 1},      {1, 2, 3, 5, 1, 1, 1, 1},      {1, 3, 4, 16, 1, 1, 1, 1},
    {1, 4, 5, 17, 1, 1, 1, 1},     {1, 5, 6, 31, 1, 1, 1, 1},     {2, 3, 7, 32, 1, 1, 1, 1},
    {1, 7, 8, 33, 1, 1, 1, 1},     {1, 13, 16, 15, 1, 1, 1, 1},   {2, 7, 20, 48, 1, 1, 1, 1},
    {3, 5, 63, 64, 1, 1, 1, 1},    {3, 9, 64, 65, 1, 1, 1, 1},    {4, 7, 65, 96, 1, 1, 1, 1},
    {7, 7, 64, 48, 1, 1, 1, 2},    {1, 1, 512, 10, 1, 1, 1, 3},   {15, 13, 40, 24, 1, 1, 1, 1},
    {25, 27, 256, 64, 1, 1, 1, 1}, {3, 5, 1024, 40, 1, 1, 1, 1},  {3, 3, 2048, 33, 1, 1, 1, 1},
    {1, 3, 4096, 32, 1, 1, 1, 2},  {7, 7, 2048, 96, 1, 1, 1, 1},  {2, 3, 512, 2048, 1, 1, 1, 2},
    {9, 7, 5, 3, 1, 2, 1, 1},      {14, 14, 32, 64, 1, 2, 1, 2},  {40, 41, 96, 32, 1, 2, 1, 1},
    {11, 9, 8, 12, 3, 1, 1, 2},    {10, 10, 16, 16, 3, 2, 1, 1},  {32, 32, 3, 32, 3, 1, 1, 1},
    {31, 33, 3, 16, 7, 2, 1, 2},   {56, 56, 3, 64, 7, 2, 1, 1},   {3, 2, 5, 9, 5, 1, 1, 2},
    {2, 2, 6, 7, 7, 2, 1, 1},      {14, 14, 160, 40, 3, 2, 1, 1}, {2, 3, 2, 16, 1, 1, 1, 1},
    {2, 3, 6, 16, 1, 1, 1, 1},     {5, 5, 24, 70, 1, 1, 1, 3},    {1, 2, 16, 40, 1, 1, 1, 9},
};

/* Special groups; the last cases are large maps with every remainder of output lines by 4. */
static const struct conv_case grouped[] = {
    {1, 1, 16, 16, 3, 1, 4, 1},    {2, 3, 12, 24, 3, 2, 4, 2},   {13, 13, 6, 9, 3, 1, 3, 1},
    {6, 6, 8, 8, 5, 1, 2, 1},      {7, 7, 8, 8, 1, 1, 2, 1},     {9, 9, 32, 32, 3, 3, 4, 1},
    {60, 60, 32, 32, 3, 1, 8, 1},  {30, 30, 24, 24, 3, 2, 8, 2}, {56, 56, 64, 64, 3, 1, 16, 1},
    {56, 3, 16, 16, 3, 1, 4, 1},   {3, 70, 20, 20, 3, 1, 5, 1},  {8, 8, 8, 8, 1, 2, 2, 1},
    {9, 8, 12, 20, 2, 3, 4, 1},    {8, 6, 10, 30, 2, 1, 5, 2},   {11, 5, 6, 6, 7, 2, 2, 1},
    {14, 14, 64, 64, 3, 1, 4, 2},  {12, 12, 20, 40, 3, 1, 5, 1}, {17, 16, 36, 36, 3, 1, 3, 1},
    {71, 19, 40, 40, 3, 1, 10, 1}, {130, 1, 6, 6, 3, 1, 3, 1},   {1, 130, 12, 12, 3, 1, 2, 1},
    {15, 13, 24, 12, 3, 1, 4, 3},  {50, 57, 24, 24, 3, 1, 6, 1}, {6, 300, 8, 8, 3, 1, 2, 2},
};

/* Every width of a group and both strides, on maps as wide as runs of pixels, and nearly so. */
static size_t make_grouped(struct conv_case *to)
{
    static const int widths[] = {1, 2, 3, 4, 5, 8, 14, 16, 24, 32, 40, 64};
    static const int maps[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 28, 29};
    enum { WIDTHS = sizeof widths / sizeof widths[0], MAPS = sizeof maps / sizeof maps[0] };
    enum { EACH = 4, MAX_CHANNELS = 150 };
    size_t count = 0;
    for (int i = 0; i < WIDTHS * 2 * EACH; i++) {
        int width = widths[i / 2 / EACH], stride = 1 + i / EACH % 2;
        int max = MAX_CHANNELS / width, groups = 2 + (i * 7 + i / EACH) % 32;
        groups = groups < max ? groups : max;
        int map = maps[(i * 5 + i / (2 * EACH)) % MAPS];
        to[count++] = (struct conv_case){1 + i % 5,
                                         map * stride - (stride == 2 && i % 3 == 0 && map > 1),
                                         width * groups,
                                         width * groups,
                                         3,
                                         stride,
                                         groups,
                                         1 + i % 3};
    }
    return count;
}

const struct conv_case *conv_cases(size_t *count)
{
    static struct conv_case all[MAX_CASES];
    size_t n = 0;
    for (size_t i = 0; i < sizeof dense / sizeof dense[0]; i++)
        all[n++] = dense[i];
    for (size_t i = 0; i < sizeof grouped / sizeof grouped[0]; i++)
        all[n++] = grouped[i];
    n += make_grouped(all + n);
    ck_assert_uint_le(n, MAX_CASES);
    *count = n;
    return all;
}

static struct conv_shape shape_of(const struct conv_case *c)
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

bool conv_is_large(const struct conv_case *c)
{
    struct conv_shape s = shape_of(c);
    return conv_weight_count(&s) * (size_t)(s.out_h * s.out_w * c->images) > 2000000;
}

double conv_element(enum precision precision, const void *from, size_t at)
{
    return precision == PRECISION_F32    ? (double)((const float *)from)[at]
           : precision == PRECISION_BF16 ? (double)f32_from_bf16(((const uint16_t *)from)[at])
                                         : (double)((const uint8_t *)from)[at];
}

static float random_float(uint64_t *seed)
{
    float value;
    random_floats(seed, &value, 1);
    return value;
}

static void fill(enum precision precision, uint64_t *seed, void *to, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (precision == PRECISION_F32)
            ((float *)to)[i] = random_float(seed);
        else if (precision == PRECISION_BF16)
            ((uint16_t *)to)[i] = bf16_from_f32(random_float(seed));
        else
            ((uint8_t *)to)[i] = (uint8_t)(random_next(seed) >> 40);
}

static void *array(size_t count, size_t size)
{
    void *p = calloc(count, size);
    ck_assert_ptr_nonnull(p);
    return p;
}

/* Some outputs are below 0 and some above 255. */
static void make_factors(struct conv_data *d, uint64_t *seed, float *multiplier, float *offset,
                         float *residual_multiplier, float *gated_offset)
{
    float terms = (float)conv_weight_count(&d->shape) / (float)d->shape.out_c;
    for (int o = 0; o < d->shape.out_c; o++) {
        multiplier[o] = (1.5F + random_float(seed)) / (127 * sqrtf(terms));
        offset[o] = 128 + 100 * random_float(seed);
        residual_multiplier[o] = 0.6F * random_float(seed);
        gated_offset[o] = 60 * random_float(seed);
    }
}

/* Like those of quantize_layer(), factors are finite. */
static void make_extreme(struct conv_data *d, uint64_t *seed, int8_t *weights, float *multiplier,
                         float *offset, float *residual_multiplier, float *gated_offset)
{
    static const float factors[] = {1e30F, -1e30F, 3.4e38F, 1, -1, 1e-40F, 0, 1e-5F, -1e-5F, 0.5F};
    enum { FACTORS = sizeof factors / sizeof factors[0] };
    size_t each = conv_weight_count(&d->shape) / (size_t)d->shape.out_c;
    for (size_t i = 0; i < d->in; i++)
        d->x.data[i] = random_next(seed) % 64 ? 255 : 0;
    for (size_t o = 0; o < (size_t)d->shape.out_c; o++) {
        int8_t weight = o % 2 ? LARGEST_WEIGHT : -LARGEST_WEIGHT;
        for (size_t i = 0; i < each; i++)
            weights[o * each + i] = o % 5 == 4 && i % 2 ? (int8_t)-weight : weight;
        multiplier[o] = factors[random_next(seed) % FACTORS];
        offset[o] = fminf(255 * factors[random_next(seed) % FACTORS] / 4, FLT_MAX);
        residual_multiplier[o] = factors[random_next(seed) % FACTORS] / 256;
        gated_offset[o] = fminf(255 * factors[random_next(seed) % FACTORS] / 4, FLT_MAX);
    }
}

/* Scales the weights of a quad (struct conv_weights) so that those of one sign add up to the limit
 * at most. */
static void limit_quad(int8_t *const weights[], int count)
{
    int more = 0, less = 0;
    for (int i = 0; i < count; i++)
        *(*weights[i] > 0 ? &more : &less) += abs(*weights[i]);
    int max = more > less ? more : less;
    for (int i = 0; i < count && max > CONV_QUAD_LIMIT; i++)
        *weights[i] = (int8_t)(*weights[i] * CONV_QUAD_LIMIT / max);
}

static void limit_quads(int8_t *weights, int in_c)
{
    static const int members[2][4] = {{0, 1, 4, 5}, {2, 3, 6, 7}};
    for (int c = 0; c < in_c; c += 8)
        for (int q = 0; q < 2; q++) {
            int8_t *quad[4];
            int count = 0;
            for (int i = 0; i < 4; i++)
                if (c + members[q][i] < in_c)
                    quad[count++] = weights + c + members[q][i];
            limit_quad(quad, count);
        }
}

static void make_int8(struct conv_data *d, enum conv_numbers numbers, uint64_t *seed)
{
    size_t count = conv_weight_count(&d->shape), out = (size_t)d->shape.out_c;
    int8_t *weights = array(count, 1);
    float *multiplier = array(out, sizeof(float)), *offset = array(out, sizeof(float));
    float *residual_multiplier = array(out, sizeof(float));
    float *gated_offset = array(out, sizeof(float));
    uint8_t *padding = array((size_t)d->shape.in_c, 1);
    for (size_t i = 0; i < count; i++)
        weights[i] =
            (int8_t)((int)(random_next(seed) >> 40) % (LARGEST_WEIGHT + 1) * (i % 3 ? 1 : -1));
    fill(PRECISION_INT8, seed, padding, (size_t)d->shape.in_c);
    make_factors(d, seed, multiplier, offset, residual_multiplier, gated_offset);
    if (numbers == NUMBERS_EXTREME)
        make_extreme(d, seed, weights, multiplier, offset, residual_multiplier, gated_offset);
    for (size_t o = 0; d->shape.kernel == 1 && o < out; o++)
        limit_quads(weights + o * (count / out), d->shape.in_c / d->shape.groups);
    d->weights = (struct conv_weights){
        .quantized = weights,
        .multiplier = multiplier,
        .offset = offset,
        .residual_multiplier = residual_multiplier,
        .gated_offset = gated_offset,
        .padding = padding,
    };
}

static void make_floats(struct conv_data *d, enum conv_numbers numbers, uint64_t *seed)
{
    size_t count = conv_weight_count(&d->shape), out = (size_t)d->shape.out_c;
    float *weights = array(count, sizeof *weights), *bias = array(out, sizeof *bias);
    random_floats(seed, weights, count);
    random_floats(seed, bias, out);
    for (size_t i = 0; d->precision == PRECISION_BF16 && i < count; i++)
        weights[i] = f32_from_bf16(bf16_from_f32(weights[i]));
    if (numbers == NUMBERS_EXTREME)
        bias[out / 2] = NAN;
    d->weights = (struct conv_weights){.weights = weights, .bias = bias};
}

/* Numbers of 0..1, some of them 0, 1 or very small. */
static void make_gate(struct conv_data *d, enum conv_numbers numbers, uint64_t *seed)
{
    static const float special[] = {0, 1, 0x1p-24F, 0x1p-100F};
    size_t count = (size_t)(d->images * d->shape.out_c);
    bool extreme = numbers == NUMBERS_EXTREME;
    d->gate = guarded_create(count * sizeof(float), 0, 0xff);
    float *gate = (float *)(void *)d->gate.data;
    for (size_t i = 0; i < count; i++) {
        uint64_t choice = random_next(seed) % (extreme ? 6 : 20);
        gate[i] = choice < 4 ? special[choice] : 0.5F + 0.5F * random_float(seed);
    }
    if (extreme && d->precision != PRECISION_INT8)
        gate[count - 1] = NAN;
}

/* The padding pixel, x and the weights as doubles. */
struct plain {
    double *padding, *x, *weights;
};

static struct plain plain_create(const struct conv_data *d)
{
    size_t in_c = (size_t)d->shape.in_c, count = conv_weight_count(&d->shape);
    struct plain p = {array(in_c, sizeof(double)), array(d->in, sizeof(double)),
                      array(count, sizeof(double))};
    for (size_t c = 0; c < in_c; c++)
        p.padding[c] = d->precision == PRECISION_INT8 ? d->weights.padding[c] : 0;
    for (size_t i = 0; i < d->in; i++)
        p.x[i] = conv_element(d->precision, d->x.data, i);
    for (size_t i = 0; i < count; i++)
        p.weights[i] = d->precision == PRECISION_INT8 ? (double)d->weights.quantized[i]
                                                      : (double)d->weights.weights[i];
    return p;
}

static void plain_destroy(struct plain *p)
{
    free(p->padding);
    free(p->x);
    free(p->weights);
}

static void expect(struct conv_data *d, const struct plain *p, size_t row, int ox, int oc)
{
    const struct conv_shape *s = &d->shape;
    size_t at = (row * (size_t)s->out_w + (size_t)ox) * (size_t)s->out_c + (size_t)oc;
    int image = (int)row / s->out_h, in = s->in_c / s->groups;
    int taps = s->kernel * s->kernel, first = oc / (s->out_c / s->groups) * in;
    double sum = 0, magnitude = 0;
    for (int t = 0; t < taps; t++) {
        int y = (int)row % s->out_h * s->stride + t / s->kernel - s->pad;
        int x = ox * s->stride + t % s->kernel - s->pad;
        bool inside = y >= 0 && x >= 0 && y < s->in_h && x < s->in_w;
        const double *pixel =
            inside ? p->x + ((size_t)(image * s->in_h + y) * (size_t)s->in_w + (size_t)x) *
                                (size_t)s->in_c
                   : p->padding;
        const double *weights = p->weights + (size_t)(oc * in * taps + t);
        for (int c = 0; c < in; c++) {
            double product = pixel[first + c] * weights[c * taps];
            sum += product;
            magnitude += fabs(product);
        }
    }
    d->sum[at] = sum;
    d->magnitude[at] = magnitude;
}

void conv_data_create(struct conv_data *d, const struct conv_case *c, enum precision precision,
                      enum conv_numbers numbers, uint64_t seed)
{
    struct conv_shape s = shape_of(c);
    size_t size = precision_size(precision), rows = (size_t)(c->images * s.out_h);
    *d = (struct conv_data){.shape = s, .precision = precision, .images = c->images};
    d->in = (size_t)(c->images * s.in_h * s.in_w * s.in_c);
    d->out = rows * (size_t)(s.out_w * s.out_c);
    d->x = guarded_create(d->in * size, KERNEL_OVERREAD, 0xff);
    d->residual = guarded_create(d->out * size, 0, 0xff);
    fill(precision, &seed, d->x.data, d->in);
    fill(precision, &seed, d->residual.data, d->out);
    if (precision == PRECISION_INT8)
        make_int8(d, numbers, &seed);
    else
        make_floats(d, numbers, &seed);
    make_gate(d, numbers, &seed);
    d->sum = array(d->out, sizeof *d->sum);
    d->magnitude = array(d->out, sizeof *d->magnitude);
    struct plain p = plain_create(d);
    for (size_t row = 0; row < rows; row++)
        for (int ox = 0; ox < s.out_w; ox++)
            for (int oc = 0; oc < s.out_c; oc++)
                expect(d, &p, row, ox, oc);
    plain_destroy(&p);
}

void conv_data_destroy(struct conv_data *d)
{
    guarded_destroy(&d->x);
    guarded_destroy(&d->residual);
    guarded_destroy(&d->gate);
    free((void *)d->weights.weights);
    free((void *)d->weights.bias);
    free((void *)d->weights.quantized);
    free((void *)d->weights.multiplier);
    free((void *)d->weights.offset);
    free((void *)d->weights.residual_multiplier);
    free((void *)d->weights.gated_offset);
    free((void *)d->weights.padding);
    free(d->sum);
    free(d->magnitude);
}
