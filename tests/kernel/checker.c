#include "tests/kernel/checker.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/quantize.h"
#include "tests/random.h"

/* A variant of a call. */
enum residual_place { RESIDUAL_APART, RESIDUAL_IN_PLACE, RESIDUAL_NONE };
enum order { ORDER_AT_ONCE, ORDER_SHUFFLED, ORDER_BACKWARDS_BY_THREE, ORDER_COUNT };
struct variant {
    enum residual_place place;
    bool relu;
    enum conv_output output;
    bool gated;
    bool bounded;
};

static bool wrong(struct check *c, const char *what, size_t at)
{
    const struct conv_shape *s = &c->data->shape;
    snprintf(c->why, sizeof c->why,
             "%s, %d x %dx%dx%d -> %d, kernel %d, stride %d, groups %d: %s, at %zu",
             c->kernel->name, c->data->images, s->in_h, s->in_w, s->in_c, s->out_c, s->kernel,
             s->stride, s->groups, what, at);
    return false;
}

/* Computes tiles [begin, end) with new scratch, full of NaN. The bytes behind it are NaN in every
 * other run, which shows reads, and another value in the rest, which shows a NaN written there. */
static bool run_tiles(struct check *c, struct variant v, unsigned char *y, int begin, int end)
{
    const struct conv_data *d = c->data;
    struct guarded scratch = guarded_create(c->kernel->method->scratch_size(c->kernel, &c->shape),
                                            KERNEL_OVERREAD, c->runs++ % 2 ? 0xff : 0x5a);
    memset(scratch.data, 0xff, scratch.size);
    c->kernel->method->run(c->kernel,
                           &(struct conv_call){
                               .shape = &c->shape,
                               .packed = c->packed.data,
                               .x = d->x.data,
                               .gate = v.gated ? (const void *)d->gate.data : NULL,
                               .residual = v.place == RESIDUAL_NONE       ? NULL
                                           : v.place == RESIDUAL_IN_PLACE ? y
                                                                          : d->residual.data,
                               .shortcut_x = c->spread.data,
                               .shortcut_pitch = c->pitch,
                               .y = y,
                               .output = v.output,
                               .relu = v.relu,
                               .bounded = v.bounded,
                               .images = d->images,
                               .tile_begin = begin,
                               .tile_end = end,
                               .scratch = scratch.data,
                           });
    bool intact = guarded_intact(&scratch);
    guarded_destroy(&scratch);
    return intact || wrong(c, "writes outside its scratch", (size_t)begin);
}

static void shuffle(int *tiles, int count)
{
    uint64_t seed = 99;
    for (int i = 0; i < count; i++) {
        int from = (int)(random_next(&seed) % (uint64_t)(i + 1));
        tiles[i] = tiles[from];
        tiles[from] = i;
    }
}

static bool run_in_order(struct check *c, struct variant v, unsigned char *y, enum order order)
{
    int count = c->kernel->method->tile_count(c->kernel, &c->shape, c->data->images);
    bool fine = true;
    if (order == ORDER_AT_ONCE)
        return run_tiles(c, v, y, 0, count);
    if (order == ORDER_BACKWARDS_BY_THREE) {
        for (int end = count; fine && end > 0; end -= 3)
            fine = run_tiles(c, v, y, end < 3 ? 0 : end - 3, end);
        return fine;
    }
    int *tiles = calloc((size_t)count, sizeof *tiles);
    ck_assert_ptr_nonnull(tiles);
    shuffle(tiles, count);
    for (int i = 0; fine && i < count; i++)
        fine = run_tiles(c, v, y, tiles[i], tiles[i] + 1);
    free(tiles);
    return fine;
}

/* The gate of output `at`; 1 if there is none. */
static float gate_at(const struct conv_data *d, struct variant v, size_t at)
{
    size_t channels = (size_t)d->shape.out_c, image = at / (d->out / (size_t)d->images);
    return v.gated ? ((const float *)(void *)d->gate.data)[image * channels + at % channels] : 1;
}

static double half_bf16_ulp(double value)
{
    return value > 0 ? ldexp(1, ilogb(value) - 8) : 0;
}

static float residual_int8(const struct check *c, struct variant v, size_t at)
{
    if (!c->shortcut)
        return v.place == RESIDUAL_NONE ? 0 : c->data->residual.data[at];
    size_t channel = at % (size_t)c->shape.out_c;
    const struct requantization f = requantization_of(&c->shortcut->weights, channel);
    return fmaf((float)(int32_t)c->shortcut->sum[at], f.multiplier, f.offset);
}

/* What is rounded and clipped. */
static float number_int8(const struct check *c, struct variant v, size_t at)
{
    const struct conv_data *d = c->data;
    struct requantization f = requantization_of(&d->weights, at % (size_t)d->shape.out_c);
    f = v.gated ? requantization_gated(f, gate_at(d, v, at)) : f;
    float number = fmaf((float)(int32_t)d->sum[at], f.multiplier, f.offset);
    return v.output == CONV_OUTPUT_ELEMENT
               ? fmaf(residual_int8(c, v, at), f.residual_multiplier, number)
               : number;
}

static bool is_bounded(const struct check *c, struct variant v)
{
    if (c->data->precision != PRECISION_INT8 || v.output == CONV_OUTPUT_FLOAT)
        return false;
    for (size_t i = 0; i < c->data->out; i++)
        if (!(fabsf(number_int8(c, v, i)) <= CONV_BOUND))
            return false;
    return true;
}

static bool is_right_int8(const struct check *c, struct variant v, size_t at, const void *y)
{
    const struct conv_data *d = c->data;
    struct requantization f = requantization_of(&d->weights, at % (size_t)d->shape.out_c);
    int32_t sum = (int32_t)d->sum[at];
    if (v.output == CONV_OUTPUT_WORD)
        return ((const uint16_t *)y)[at] == requantize_word(sum, f);
    if (v.output == CONV_OUTPUT_FLOAT) {
        float want = fmaf((float)sum, f.multiplier, f.offset);
        return ((const float *)y)[at] == (v.relu && want < 0 ? 0 : want);
    }
    f = v.gated ? requantization_gated(f, gate_at(d, v, at)) : f;
    float residual = residual_int8(c, v, at);
    bool infinite = isinf(residual) || isinf((float)sum * f.multiplier);
    /* (quantize_layer refuses factors with which a shortcut would not be finite.) */
    return (c->shortcut && infinite) || ((const uint8_t *)y)[at] == requantize(sum, f, residual);
}

/* `*size` becomes the sum of the sizes of its terms. */
static double residual_float(const struct check *c, struct variant v, size_t at, double *size)
{
    const struct conv_data *d = c->data;
    if (c->shortcut) {
        double bias = (double)c->shortcut->weights.bias[at % (size_t)c->shape.out_c];
        *size = c->shortcut->magnitude[at] + fabs(bias);
        return c->shortcut->sum[at] + bias;
    }
    double residual =
        v.place == RESIDUAL_NONE ? 0 : conv_element(d->precision, d->residual.data, at);
    *size = fabs(residual);
    return residual;
}

static bool is_right(const struct check *c, struct variant v, size_t at, const void *y)
{
    const struct conv_data *d = c->data;
    if (d->precision == PRECISION_INT8)
        return is_right_int8(c, v, at, y);
    double bias = (double)d->weights.bias[at % (size_t)d->shape.out_c], size;
    double gate = (double)gate_at(d, v, at), residual = residual_float(c, v, at, &size);
    double want = (d->sum[at] + bias) * gate + residual;
    double max = 1e-5 * ((d->magnitude[at] + fabs(bias)) * gate + size);
    want = v.relu && want < 0 ? 0 : want;
    bool floats = v.output == CONV_OUTPUT_FLOAT;
    double is = floats ? (double)((const float *)y)[at] : conv_element(d->precision, y, at);
    if (isnan(want))
        return isnan(is);
    if (d->precision == PRECISION_BF16 && !floats)
        max += half_bf16_ulp(fabs(want) + max);
    return fabs(is - want) <= max;
}

static bool check_outputs(struct check *c, struct variant v, enum order order)
{
    const struct conv_data *d = c->data;
    size_t size = conv_output_size(d->precision, v.output);
    struct guarded y = guarded_create(d->out * size, 0, 0x5a);
    if (v.place == RESIDUAL_IN_PLACE)
        memcpy(y.data, d->residual.data, d->out * size);
    bool fine = run_in_order(c, v, y.data, order);
    if (fine && !guarded_intact(&y))
        fine = wrong(c, "writes outside y", 0);
    for (size_t i = 0; fine && i < d->out; i++)
        if (!is_right(c, v, i, y.data))
            fine = wrong(c, "a wrong number", i);
    guarded_destroy(&y);
    return fine;
}

/* Also as what is bounded, if it is. */
static bool check_variant(struct check *c, struct variant v, enum order order)
{
    bool fine = check_outputs(c, v, order);
    v.bounded = is_bounded(c, v);
    c->bounded += v.bounded;
    return fine && (!v.bounded || check_outputs(c, v, order));
}

/* One tile writes each output. A tile runs on two backgrounds: outputs that are then alike are
 * those that it writes. */
static bool check_ownership(struct check *c)
{
    const struct conv_data *d = c->data;
    const struct variant plain = {RESIDUAL_NONE, true, CONV_OUTPUT_ELEMENT, false, false};
    size_t size = precision_size(d->precision);
    int count = c->kernel->method->tile_count(c->kernel, &c->shape, d->images);
    struct guarded a = guarded_create(d->out * size, 0, 0x5a);
    struct guarded b = guarded_create(d->out * size, 0, 0xa5);
    unsigned char *owners = calloc(d->out, 1);
    ck_assert_ptr_nonnull(owners);
    bool fine = true;
    for (int t = 0; fine && t < count; t++) {
        memset(a.data, 0x5a, a.size);
        memset(b.data, 0xa5, b.size);
        fine = run_tiles(c, plain, a.data, t, t + 1) && run_tiles(c, plain, b.data, t, t + 1);
        for (size_t i = 0; fine && i < d->out; i++) {
            bool same = memcmp(a.data + i * size, b.data + i * size, size) == 0;
            owners[i] = (unsigned char)(owners[i] + same);
        }
    }
    for (size_t i = 0; fine && i < d->out; i++)
        if (owners[i] != 1)
            fine = wrong(c, owners[i] ? "several tiles write an output" : "no tile writes it", i);
    free(owners);
    guarded_destroy(&a);
    guarded_destroy(&b);
    return fine;
}

bool check_kernel(struct check *c, size_t turn)
{
    static const struct variant variants[] = {
        {RESIDUAL_APART, false, CONV_OUTPUT_ELEMENT, false, false},
        {RESIDUAL_IN_PLACE, true, CONV_OUTPUT_ELEMENT, false, false},
        {RESIDUAL_NONE, true, CONV_OUTPUT_ELEMENT, false, false},
        {RESIDUAL_NONE, false, CONV_OUTPUT_FLOAT, false, false},
        {RESIDUAL_NONE, true, CONV_OUTPUT_FLOAT, false, false},
        {RESIDUAL_NONE, true, CONV_OUTPUT_WORD, false, false},
        {RESIDUAL_APART, false, CONV_OUTPUT_ELEMENT, true, false},
        {RESIDUAL_IN_PLACE, true, CONV_OUTPUT_ELEMENT, true, false},
        {RESIDUAL_NONE, true, CONV_OUTPUT_ELEMENT, true, false},
    };
    enum { ALL = sizeof variants / sizeof variants[0], GATED = 3 };
    const struct conv_shape *s = &c->data->shape;
    c->shape = *s;
    size_t packed = c->kernel->method->packed_size(c->kernel, s);
    struct conv_shape cut = *s;
    if (cut.out_h > 4) {
        cut.out_h = 4;
        cut.in_h = 3 * cut.stride + cut.kernel - 2 * cut.pad;
    }
    if (c->kernel->method->packed_size(c->kernel, &cut) != packed)
        return wrong(c, "computed in another way than a few rows", 0);
    c->packed = guarded_create(packed, 0, 0xff);
    c->kernel->method->pack(c->kernel, s, &c->data->weights, c->packed.data);
    bool fine = guarded_intact(&c->packed) || wrong(c, "packs outside", 0);
    size_t all = s->groups == 1 ? ALL : ALL - GATED, count = c->brief ? 2 : all;
    for (size_t i = turn * count; fine && i < (turn + 1) * count; i++) {
        struct variant v = variants[i % all];
        if (c->kernel->precision != PRECISION_INT8 && v.output == CONV_OUTPUT_WORD)
            continue;
        fine = check_variant(c, v, i % ORDER_COUNT);
    }
    fine = fine && run_tiles(c, variants[0], NULL, 0, 0); /* no tile: nothing */
    fine = fine && (c->brief || check_ownership(c));
    guarded_destroy(&c->packed);
    return fine;
}

/* The pixels of the shortcut's input, c->pitch elements apart, with NaN between. */
static struct guarded spread_input(const struct check *c)
{
    const struct conv_data *d = c->shortcut;
    size_t size = precision_size(d->precision), pixel = (size_t)d->shape.in_c * size;
    size_t count = d->x.size / pixel, step = c->pitch * size;
    struct guarded spread = guarded_create(count * step, KERNEL_OVERREAD, 0xff);
    for (size_t i = 0; i < count; i++)
        memcpy(spread.data + i * step, d->x.data + i * pixel, pixel);
    return spread;
}

/* Packs both convolutions as one shape. */
static bool pack_both(struct check *c)
{
    const struct conv_shape *own = &c->data->shape, *shortcut = &c->shortcut->shape;
    c->shape = *own;
    c->shape.shortcut_h = shortcut->in_h;
    c->shape.shortcut_w = shortcut->in_w;
    c->shape.shortcut_c = shortcut->in_c;
    c->shape.shortcut_stride = shortcut->stride;
    c->packed = guarded_create(c->kernel->method->packed_size(c->kernel, &c->shape), 0, 0xff);
    c->kernel->method->pack(c->kernel, own, &c->data->weights, c->packed.data);
    c->kernel->method->pack(c->kernel, shortcut, &c->shortcut->weights,
                            c->packed.data + conv_packed_shortcut(c->kernel, &c->shape));
    return guarded_intact(&c->packed) || wrong(c, "packs outside", 0);
}

bool check_shortcut(struct check *c, size_t turn)
{
    static const struct variant variants[] = {
        {RESIDUAL_NONE, true, CONV_OUTPUT_ELEMENT, false, false},
        {RESIDUAL_NONE, false, CONV_OUTPUT_ELEMENT, false, false},
        {RESIDUAL_NONE, true, CONV_OUTPUT_ELEMENT, true, false},
    };
    c->pitch = (size_t)c->shortcut->shape.in_c * (1 + turn % 2);
    c->spread = spread_input(c);
    bool fine = pack_both(c);
    for (size_t i = 0; fine && i < sizeof variants / sizeof variants[0]; i++)
        fine = check_variant(c, variants[i], i % ORDER_COUNT);
    fine = fine && (c->brief || check_ownership(c));
    guarded_destroy(&c->packed);
    guarded_destroy(&c->spread);
    return fine;
}

static size_t step(void)
{
    const char *every = getenv("CHECK_EVERY");
    return every && atoi(every) > 1 ? (size_t)atoi(every) : 1;
}

static bool is_wanted(const struct conv_case *c, size_t index)
{
    return step() == 1 || (index % step() == 0 && !conv_is_large(c));
}

static bool is_brief(const struct conv_case *c)
{
#ifdef __SANITIZE_ADDRESS__
    return true;
#endif
    return step() > 1 || conv_is_large(c);
}

/* A convolution with as many outputs. */
static struct conv_case shortcut_case(const struct conv_data *d, size_t i)
{
    static const int channels[] = {8, 20, 64, 3, 520};
    const struct conv_shape *s = &d->shape;
    int stride = 1 + (int)(i % 2), beyond = stride > 1 && i % 3;
    return (struct conv_case){(s->out_h - 1) * stride + 1 + beyond,
                              (s->out_w - 1) * stride + 1,
                              channels[i % (sizeof channels / sizeof channels[0])],
                              s->out_c,
                              1,
                              stride,
                              1,
                              d->images};
}

/* Each kernel with a shortcut. */
static void check_shortcuts(const struct conv_kernel *const *kernels, size_t count,
                            const struct conv_data *d, enum conv_numbers numbers, size_t i)
{
    const struct conv_case second = shortcut_case(d, i);
    struct conv_data shortcut;
    conv_data_create(&shortcut, &second, d->precision, numbers, 1000 + i);
    struct conv_shape both = d->shape;
    both.shortcut_c = second.in_c;
    for (size_t k = 0; k < count; k++) {
        struct check c = {.kernel = kernels[k], .data = d, .shortcut = &shortcut};
        if (!kernels[k]->supports(&both))
            continue;
        ck_assert_msg(check_shortcut(&c, i), "with a shortcut: %s", c.why);
    }
    conv_data_destroy(&shortcut);
}

void check_kernels(const struct conv_kernel *const *kernels, size_t count,
                   enum conv_numbers numbers)
{
    size_t cases, reached[64] = {0}, bounded = 0;
    const struct conv_case *all = conv_cases(&cases);
    ck_assert_uint_le(count, sizeof reached / sizeof reached[0]);
    for (size_t i = 0; i < cases && count > 0; i++) {
        struct conv_data d;
        if (!is_wanted(&all[i], i))
            continue;
        conv_data_create(&d, &all[i], kernels[0]->precision, numbers, 1 + i);
        for (size_t k = 0; k < count; k++) {
            struct check c = {.kernel = kernels[k], .data = &d, .brief = is_brief(&all[i])};
            if (!kernels[k]->supports(&d.shape))
                continue;
            ck_assert_msg(check_kernel(&c, i), "%s", c.why);
            reached[k]++;
            bounded += c.bounded;
        }
        if (d.shape.kernel == 1 && d.shape.groups == 1)
            check_shortcuts(kernels, count, &d, numbers, i);
        conv_data_destroy(&d);
    }
    ck_assert(bounded > 0 || numbers != NUMBERS_USUAL || count == 0 ||
              kernels[0]->precision != PRECISION_INT8);
    for (size_t k = 0; k < count; k++) {
        printf("# %s: %zu shapes\n", kernels[k]->name, reached[k]);
        ck_assert_msg(reached[k] > 0, "no shape reached %s", kernels[k]->name);
    }
}
