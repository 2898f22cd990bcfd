#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "kernel/quantize.h"
#include "model/model.h"

enum {
    PATTERN = 4093, /* prime, so that it never lines up with rows or channels */
    STRIP = 4,      /* output rows of a trial: a map cut short, at full width */
    REF_STRIP = 1,  /* the reference is too slow to spend more on it */
    PIXELS = 3,     /* compared in a row, in each of three rows */
    CHANNELS = 16,  /* compared in a pixel */
    BLOCKS = 12,    /* that a trial takes of the arena, at most */
};

/* Tolerances: relative to the sum of |a b|, for float32 sums in any order or by Winograd's method;
 * relative to a number, for its rounding to bf16. */
static const double tolerance = 1e-5, bf16_rounding = 0x1.01p-8;

/* One layer on made-up numbers. */
struct trial {
    const struct layer *layer;
    const struct conv_kernel *kernel;
    struct conv_shape shape; /* the layer's, with fewer rows */
    enum conv_output output;
    struct conv_weights weights;
    float *gate;            /* NULL if it has none */
    void *x, *residual, *y; /* in elements of the precision */
    void *packed, *scratch;
};

static struct trial trial_of(const struct network *network, size_t i)
{
    struct trial t = {.layer = network_layer(network, i), .kernel = network_kernel(network, i)};
    t.output = network_kernel_output(network, i);
    int max = strcmp(t.kernel->isa, "ref") == 0 ? REF_STRIP : STRIP;
    t.shape = conv_own(network_kernel_shape(network, i));
    if (t.shape.out_h > max) {
        t.shape.out_h = max;
        t.shape.in_h = (max - 1) * t.shape.stride + t.shape.kernel - 2 * t.shape.pad;
    }
    return t;
}

static size_t in_count(const struct conv_shape *s)
{
    return (size_t)s->in_h * (size_t)s->in_w * (size_t)s->in_c;
}

static size_t out_count(const struct conv_shape *s)
{
    return (size_t)s->out_h * (size_t)s->out_w * (size_t)s->out_c;
}

/* Enough for any precision. */
static size_t trial_bytes(const struct trial *t)
{
    const struct conv_shape *s = &t->shape;
    size_t floats = in_count(s) + 2 * out_count(s) + conv_weight_count(s) + 5 * (size_t)s->out_c;
    return floats * sizeof(float) + (size_t)s->in_c + t->kernel->method->packed_size(t->kernel, s) +
           t->kernel->method->scratch_size(t->kernel, s) + KERNEL_OVERREAD +
           BLOCKS * ARENA_ALIGNMENT;
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

/* Numbers of -1..1 as activations: as they are, rounded, or as bytes around 128. */
static void *take_activations(struct arena *arena, enum precision precision, size_t count,
                              const float pattern[PATTERN], size_t start)
{
    float *numbers = take_filled(arena, count, pattern, start);
    for (size_t i = 0; i < count; i++) /* an element is never larger than its number */
        if (precision == PRECISION_BF16)
            ((uint16_t *)(void *)numbers)[i] = bf16_from_f32(numbers[i]);
        else if (precision == PRECISION_INT8)
            ((uint8_t *)(void *)numbers)[i] = (uint8_t)lrintf(127.5F + 127.5F * numbers[i]);
    return numbers;
}

/* As a sigmoid's: 0..1. */
static float *take_gate(struct arena *arena, size_t count, const float pattern[PATTERN])
{
    float *gate = take_filled(arena, count, pattern, 500);
    for (size_t i = 0; i < count; i++)
        gate[i] = 0.5F + 0.5F * gate[i];
    return gate;
}

/* What is added behind a gate: -40..40. */
static float *take_gated_offset(struct arena *arena, size_t count, const float pattern[PATTERN])
{
    float *offset = take_filled(arena, count, pattern, 1500);
    for (size_t i = 0; i < count; i++)
        offset[i] *= 40;
    return offset;
}

static void take_bytes(struct trial *t, struct arena *arena, const float pattern[PATTERN])
{
    const struct conv_shape *s = &t->shape;
    size_t count = conv_weight_count(s), patch = count / (size_t)s->out_c;
    float largest = s->kernel == 1 ? CONV_QUAD_LIMIT / 4 : 127;
    int8_t *quantized = arena_take(arena, count);
    for (size_t i = 0; i < count; i++)
        quantized[i] = (int8_t)lrintf(largest * pattern[(1000 + i) % PATTERN]);
    uint8_t *padding = arena_take(arena, (size_t)s->in_c);
    for (size_t i = 0; i < (size_t)s->in_c; i++)
        padding[i] = (uint8_t)(37 * i);
    /* Such that sums fill the range of a byte and a few go past its ends. */
    float usual = (float)(40 / (sqrt((double)patch) * largest * 128 / 3));
    float *multiplier = take_filled(arena, (size_t)s->out_c, pattern, 2000);
    float *offset = take_filled(arena, (size_t)s->out_c, pattern, 2500);
    for (size_t i = 0; i < (size_t)s->out_c; i++) {
        multiplier[i] = usual * (1.5F + multiplier[i]);
        offset[i] = 90 + 20 * offset[i];
    }
    t->weights = (struct conv_weights){
        .quantized = quantized,
        .multiplier = multiplier,
        .offset = offset,
        .residual_multiplier = take_filled(arena, (size_t)s->out_c, pattern, 3500),
        .gated_offset = t->gate ? take_gated_offset(arena, (size_t)s->out_c, pattern) : NULL,
        .padding = padding,
    };
}

static void set_up(struct trial *t, struct arena *arena, const float pattern[PATTERN])
{
    const struct conv_shape *s = &t->shape;
    enum precision precision = t->kernel->precision;
    arena->used = 0;
    t->x = take_activations(arena, precision, in_count(s), pattern, 0);
    t->residual = take_activations(arena, precision, out_count(s), pattern, 3000);
    t->y = arena_take(arena, out_count(s) * sizeof(float));
    t->gate = t->layer->gate ? take_gate(arena, (size_t)s->out_c, pattern) : NULL;
    if (precision == PRECISION_INT8) {
        take_bytes(t, arena, pattern);
    } else {
        t->weights.weights = take_filled(arena, conv_weight_count(s), pattern, 1000);
        t->weights.bias = take_filled(arena, (size_t)s->out_c, pattern, 2000);
    }
    t->packed = arena_take(arena, t->kernel->method->packed_size(t->kernel, s));
    t->scratch = arena_take(arena, t->kernel->method->scratch_size(t->kernel, s) + KERNEL_OVERREAD);
    t->kernel->method->pack(t->kernel, s, &t->weights, t->packed);
}

/* Element `at` of activations; a byte is itself. */
static double number_at(enum precision precision, const void *elements, size_t at)
{
    return precision == PRECISION_F32    ? ((const float *)elements)[at]
           : precision == PRECISION_BF16 ? f32_from_bf16(((const uint16_t *)elements)[at])
                                         : ((const uint8_t *)elements)[at];
}

/* Weight `at` as the kernel multiplies it. */
static double weight_at(const struct trial *t, size_t at)
{
    const struct conv_weights *w = &t->weights;
    return w->quantized                             ? w->quantized[at]
           : t->kernel->precision == PRECISION_BF16 ? f32_from_bf16(bf16_from_f32(w->weights[at]))
                                                    : w->weights[at];
}

/* One sum of products, and of their sizes. */
static double convolve(const struct trial *t, int row, int column, int channel, double *size)
{
    const struct conv_shape *s = &t->shape;
    int each = s->in_c / s->groups, first = channel / (s->out_c / s->groups) * each;
    size_t w = (size_t)channel * (size_t)(each * s->kernel * s->kernel);
    double sum = *size = 0;
    for (int ky = 0; ky < s->kernel; ky++)
        for (int kx = 0; kx < s->kernel; kx++) {
            int y = row * s->stride - s->pad + ky, x = column * s->stride - s->pad + kx;
            bool inside = y >= 0 && y < s->in_h && x >= 0 && x < s->in_w;
            size_t in = (size_t)(y * s->in_w + x) * (size_t)s->in_c;
            for (int c = 0; c < each; c++) {
                size_t at = (size_t)(first + c);
                double value = inside               ? number_at(t->kernel->precision, t->x, in + at)
                               : t->weights.padding ? t->weights.padding[at]
                                                    : 0;
                double term =
                    value * weight_at(t, w + (size_t)((c * s->kernel + ky) * s->kernel + kx));
                sum += term;
                *size += fabs(term);
            }
        }
    return sum;
}

static bool adds(const struct trial *t)
{
    return t->layer->residual != LAYER_NO_VALUE;
}

/* int8, exactly. */
static bool byte_is_right(const struct trial *t, int32_t sum, size_t at, int c)
{
    struct requantization f = requantization_of(&t->weights, (size_t)c);
    if (t->output == CONV_OUTPUT_FLOAT)
        return ((const float *)t->y)[at] == fmaf((float)sum, f.multiplier, f.offset);
    if (t->output == CONV_OUTPUT_WORD)
        return ((const uint16_t *)t->y)[at] == requantize_word(sum, f);
    uint8_t residual = adds(t) ? ((const uint8_t *)t->residual)[at] : 0;
    f = t->gate ? requantization_gated(f, t->gate[c]) : f;
    return ((const uint8_t *)t->y)[at] == requantize(sum, f, residual);
}

static bool is_right(const struct trial *t, int row, int column, int channel)
{
    const struct conv_shape *s = &t->shape;
    enum precision precision = t->kernel->precision;
    size_t at =
        ((size_t)row * (size_t)s->out_w + (size_t)column) * (size_t)s->out_c + (size_t)channel;
    double size, right = convolve(t, row, column, channel, &size);
    if (precision == PRECISION_INT8)
        return byte_is_right(t, (int32_t)right, at, channel);
    double gate = t->gate ? t->gate[channel] : 1;
    right = (right + t->weights.bias[channel]) * gate;
    size = (size + fabsf(t->weights.bias[channel])) * gate;
    if (adds(t)) {
        double residual = number_at(precision, t->residual, at);
        right += residual;
        size += fabs(residual);
    }
    if (t->layer->relu && right < 0)
        right = 0;
    bool floats = t->output == CONV_OUTPUT_FLOAT;
    double y = number_at(floats ? PRECISION_F32 : precision, t->y, at);
    double rounding = precision == PRECISION_BF16 && !floats ? bf16_rounding * fabs(right) : 0;
    return fabs(y - right) <= tolerance * size + rounding;
}

/* Number i of n that are spread evenly over 0..max. */
static int spread(int i, int n, int max)
{
    return (int)((int64_t)max * i / (n - 1));
}

static bool row_is_right(const struct trial *t, int row)
{
    const struct conv_shape *s = &t->shape;
    for (int p = 0; p < PIXELS; p++)
        for (int c = 0; c < CHANNELS; c++)
            if (!is_right(t, row, spread(p, PIXELS, s->out_w - 1),
                          spread(c, CHANNELS, s->out_c - 1)))
                return false;
    return true;
}

static bool trial_passes(const struct trial *t)
{
    const struct conv_shape *s = &t->shape;
    memset(t->y, 0xff, out_count(s) * sizeof(float)); /* NaN */
    t->kernel->method->run(t->kernel,
                           &(struct conv_call){
                               .shape = s,
                               .packed = t->packed,
                               .x = t->x,
                               .gate = t->gate,
                               .residual = adds(t) ? t->residual : NULL,
                               .y = t->y,
                               .output = t->output,
                               .relu = t->layer->relu,
                               .bounded = true, /* as take_bytes() chooses factors */
                               .images = 1,
                               .tile_end = t->kernel->method->tile_count(t->kernel, s, 1),
                               .scratch = t->scratch,
                           });
    for (int i = 0; i < 3; i++)
        if (!row_is_right(t, spread(i, 3, s->out_h - 1)))
            return false;
    return true;
}

static bool same_work(const struct network *network, size_t i, size_t k)
{
    const struct layer *a = network_layer(network, i), *b = network_layer(network, k);
    return layer_has_kernel(b) && a->relu == b->relu &&
           (a->residual == LAYER_NO_VALUE) == (b->residual == LAYER_NO_VALUE) &&
           (a->gate == 0) == (b->gate == 0) &&
           network_kernel_output(network, i) == network_kernel_output(network, k) &&
           memcmp(network_kernel_shape(network, i), network_kernel_shape(network, k),
                  sizeof a->shape) == 0;
}

/* Whether no earlier layer does the same work as layer i. */
static bool is_new(const struct network *network, size_t i)
{
    if (!layer_has_kernel(network_layer(network, i)))
        return false;
    for (size_t k = 0; k < i; k++)
        if (same_work(network, i, k))
            return false;
    return true;
}

static size_t largest_trial(const struct network *network)
{
    size_t max = 0;
    for (size_t i = 0; i < network_layer_count(network); i++) {
        if (!is_new(network, i))
            continue;
        struct trial t = trial_of(network, i);
        size_t bytes = trial_bytes(&t);
        max = bytes > max ? bytes : max;
    }
    return max;
}

static int test_network(const struct network *network, struct error *err)
{
    float pattern[PATTERN];
    struct arena arena;
    int code = network_check_memory(network, 1, err);
    if (code == ERR_OK)
        code = arena_create(&arena, largest_trial(network), err);
    if (code != ERR_OK)
        return error_prefix(err, code, "self-test");
    make_pattern(pattern);
    for (size_t i = 0; code == ERR_OK && i < network_layer_count(network); i++) {
        if (!is_new(network, i))
            continue;
        struct trial t = trial_of(network, i);
        set_up(&t, &arena, pattern);
        if (!trial_passes(&t))
            code = error_set(err, ERR_INTERNAL,
                             "self-test: layer %s is wrong on kernel %s (%s); try another --isa",
                             t.layer->name, t.kernel->name, kernel_runs_on(t.kernel));
    }
    arena_destroy(&arena);
    return code;
}

int model_self_test(const struct model *model, struct error *err)
{
    int code = test_network(model->network, err);
    return code == ERR_OK && model->exact ? test_network(model->exact, err) : code;
}
