#include "nn/network.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/size.h"
#include "nn/attention.h"
#include "nn/classifier.h"
#include "nn/fine.h"
#include "nn/plan.h"
#include "nn/pool.h"
#include "nn/shortcut.h"
#include "nn/sums.h"

/* A layer with its kernel (NULL for pooling and attention) and its place in the packed weights. Of
 * a LAYER_EXCITE, `packed` is the bias, then the weights. */
struct step {
    const struct conv_kernel *kernel;
    struct conv_shape shape; /* that the kernel computes */
    enum conv_output output; /* that it gives */
    enum fine_form form;     /* of the layer's output */
    size_t shortcut;  /* a layer that the kernel computes too; the number of layers if none */
    bool is_shortcut; /* of a later layer, which computes it */
    size_t packed_size;
    void *packed;
    double reach; /* in int8, of a convolution or a LAYER_EXCITE: no output is larger in size */
};

struct network {
    struct layer *layers;
    struct step *steps;
    size_t count;
    enum precision precision;
    struct quantization *values;     /* NULL, or as in network_options, in `scales` */
    const uint8_t *const *roundings; /* as in network_options */
    float *scales;
    struct plan plan;
    struct arena weights;
    struct arena classifier; /* its weights once more, not packed */
    size_t scratch_size;
};

struct workspace {
    struct arena memory;
    unsigned char *activations;
    void *scratch;
    int max_images;
};

static enum fine_form form_of(const struct network *n, size_t v)
{
    return v ? n->steps[v - 1].form : FINE_NONE;
}

/* The channels of value v. */
static size_t channels_of(const struct network *n, size_t v)
{
    return (size_t)(v ? n->layers[v - 1].shape.out_c : n->layers[0].shape.in_c);
}

/* Of value v as kernels see it. */
static size_t kernel_channels(const struct network *n, size_t v)
{
    return fine_channels(form_of(n, v), channels_of(n, v));
}

/* Whether layer i reads the parts of fine planes as well as whole steps. */
static bool reads_parts(const struct network *n, size_t i)
{
    return form_of(n, (size_t)n->layers[i].input) == FINE_PLANES && !n->steps[i].is_shortcut;
}

/* A shortcut's weights lie behind those of the layer that computes it. */
static void join_shortcut(struct network *n, size_t i)
{
    struct step *step = &n->steps[i];
    if (step->shortcut == n->count)
        return;
    struct step *shortcut = &n->steps[step->shortcut];
    shortcut->output = CONV_OUTPUT_FLOAT;
    step->shape.shortcut_h = shortcut->shape.in_h;
    step->shape.shortcut_w = shortcut->shape.in_w;
    step->shape.shortcut_c = shortcut->shape.in_c;
    step->shape.shortcut_stride = shortcut->shape.stride;
}

static enum conv_output output_of(const struct network *n, size_t i)
{
    return i + 1 == n->count                 ? CONV_OUTPUT_FLOAT
           : form_of(n, i + 1) == FINE_WORDS ? CONV_OUTPUT_WORD
                                             : CONV_OUTPUT_ELEMENT;
}

/* The weights of a LAYER_EXCITE. */
static enum precision excite_precision(const struct network *n)
{
    return n->precision == PRECISION_F32 ? PRECISION_F32 : PRECISION_BF16;
}

/* Whether layer i runs as nn/classifier.h says. */
static bool is_int8_classifier(const struct network *n, size_t i)
{
    return n->precision == PRECISION_INT8 && n->layers[i].kind == LAYER_LINEAR;
}

static size_t packed_size(const struct network *n, size_t i)
{
    const struct layer *layer = &n->layers[i];
    const struct conv_kernel *kernel = n->steps[i].kernel;
    if (n->steps[i].is_shortcut)
        return 0;
    if (is_int8_classifier(n, i))
        return classifier_packed_size(kernel, &layer->shape);
    if (kernel)
        return kernel->method->packed_size(kernel, &n->steps[i].shape);
    return layer->kind == LAYER_EXCITE
               ? (size_t)layer->shape.out_c * sizeof(float) +
                     conv_weight_count(&layer->shape) * precision_size(excite_precision(n))
               : 0;
}

static size_t scratch_size(const struct network *n, size_t i)
{
    const struct step *step = &n->steps[i];
    return is_int8_classifier(n, i)
               ? classifier_scratch_size(step->kernel, &step->shape)
               : step->kernel->method->scratch_size(step->kernel, &step->shape);
}

/* What kernels compute. */
static void find_shapes(struct network *n)
{
    bool int8 = n->precision == PRECISION_INT8;
    for (size_t i = 0; i < n->count; i++) {
        n->steps[i].form = int8 ? fine_form_of(n->layers, n->count, i + 1) : FINE_NONE;
        n->steps[i].shortcut = int8 ? shortcut_of(n->layers, n->count, i) : n->count;
        if (n->steps[i].shortcut < n->count)
            n->steps[n->steps[i].shortcut].is_shortcut = true;
    }
    for (size_t i = 0; i < n->count; i++) {
        struct step *step = &n->steps[i];
        step->shape = n->layers[i].shape;
        if (reads_parts(n, i))
            step->shape.in_c *= FINE_PLANE_COUNT;
        step->output = output_of(n, i);
        join_shortcut(n, i);
    }
}

static void choose_kernel(struct network *n, size_t i, struct kernel_isas isas)
{
    struct step *step = &n->steps[i];
    if (!layer_has_kernel(&n->layers[i]))
        return;
    step->kernel = kernel_conv(isas, n->precision, &step->shape);
    size_t scratch = scratch_size(n, i);
    n->scratch_size = scratch > n->scratch_size ? scratch : n->scratch_size;
    if (step->shortcut < n->count)
        n->steps[step->shortcut].kernel = step->kernel;
}

/* Chooses the kernels; `*weight_size` is what all packed weights need. */
static int choose_kernels(struct network *n, struct kernel_isas isas, size_t *weight_size,
                          struct error *err)
{
    *weight_size = 0;
    find_shapes(n);
    for (size_t i = 0; i < n->count; i++)
        choose_kernel(n, i, isas);
    for (size_t i = 0; i < n->count; i++) {
        struct step *step = &n->steps[i];
        step->packed_size = packed_size(n, i);
        if (!size_add(*weight_size, arena_rounded(step->packed_size), weight_size))
            return error_set(err, ERR_MODEL_UNSUPPORTED, "the weights are too large");
    }
    return ERR_OK;
}

static enum precision precision_of(const struct network *n, size_t v)
{
    return layer_value_precision(n->layers, n->count, v, n->precision);
}

static int copy_scales(struct network *n, const struct quantization *values, struct error *err)
{
    size_t floats = 0;
    for (size_t v = 0; v < n->count; v++)
        floats += 3 * kernel_channels(n, v);
    n->values = calloc(n->count, sizeof *n->values);
    float *to = n->scales = calloc(floats, sizeof *n->scales);
    if (!n->values || !to)
        return error_set(err, ERR_NO_MEMORY, "no memory for the scales of activations");
    for (size_t v = 0; v < n->count; v++) {
        if (precision_of(n, v) != PRECISION_INT8)
            continue;
        size_t channels = kernel_channels(n, v);
        struct fine_scales own = {to, to + channels, values[v].mean ? to + 2 * channels : NULL};
        n->values[v] = (struct quantization){own.scale, own.zero, own.mean};
        fine_rescale(form_of(n, v), &values[v], channels_of(n, v), own);
        for (size_t c = 0; c < channels && v > 0 && n->steps[v - 1].is_shortcut; c++) {
            own.scale[c] = 1; /* a number stands for itself */
            own.zero[c] = 0;
        }
        to += 3 * channels;
    }
    return ERR_OK;
}

/* The format of packed weights is private to the kernel; explanations need plain weights. */
static int reserve_classifier(struct network *n, struct error *err)
{
    const struct layer *last = &n->layers[n->count - 1];
    size_t size = conv_weight_count(&last->shape) * sizeof(float);
    return last->kind == LAYER_LINEAR ? arena_create(&n->classifier, size, err) : ERR_OK;
}

static void reserve_weights(struct network *n)
{
    for (size_t i = 0; i < n->count; i++)
        if (n->steps[i].packed_size)
            n->steps[i].packed = arena_take(&n->weights, n->steps[i].packed_size);
    for (size_t i = 0; i < n->count; i++) {
        const struct step *step = &n->steps[i];
        if (step->shortcut < n->count)
            n->steps[step->shortcut].packed =
                (unsigned char *)step->packed + conv_packed_shortcut(step->kernel, &step->shape);
    }
}

static int fill(struct network *n, const struct network_options *options, struct error *err)
{
    size_t weight_size;
    int code = plan_create(&n->plan, n->layers, n->count, n->precision, err);
    if (code == ERR_OK)
        code = choose_kernels(n, options->isas, &weight_size, err);
    if (code == ERR_OK)
        code = arena_create(&n->weights, weight_size, err);
    if (code == ERR_OK)
        code = reserve_classifier(n, err);
    if (code != ERR_OK)
        return code;
    reserve_weights(n);
    n->roundings = options->roundings;
    return n->precision == PRECISION_INT8 ? copy_scales(n, options->values, err) : ERR_OK;
}

int network_create(struct network **out, const struct layer *layers, size_t count,
                   const struct network_options *options, struct error *err)
{
    CHECK(layers_are_sound(layers, count));
    struct network *n = calloc(1, sizeof *n);
    if (!n)
        return error_set(err, ERR_NO_MEMORY, "no memory for a network");
    n->count = count;
    n->precision = options->precision;
    n->layers = calloc(count, sizeof *n->layers);
    n->steps = calloc(count, sizeof *n->steps);
    int code =
        n->layers && n->steps ? ERR_OK : error_set(err, ERR_NO_MEMORY, "no memory for layers");
    if (code == ERR_OK) {
        memcpy(n->layers, layers, count * sizeof *layers);
        code = fill(n, options, err);
    }
    if (code == ERR_OK)
        *out = n;
    else
        network_destroy(n);
    return code;
}

void network_destroy(struct network *n)
{
    if (!n)
        return;
    arena_destroy(&n->classifier);
    arena_destroy(&n->weights);
    plan_destroy(&n->plan);
    free(n->scales);
    free(n->values);
    free(n->steps);
    free(n->layers);
    free(n);
}

/* The largest size of a number in the float32 value that layer i reads, in int8. */
static double reach_of_input(const struct network *n, size_t i)
{
    size_t before = (size_t)n->layers[i].input - 1;
    if (n->layers[before].kind == LAYER_EXCITE)
        return n->steps[before].reach;
    size_t v = (size_t)n->layers[before].input;
    return quantize_reach(&n->values[v], channels_of(n, v));
}

/* Bytes cannot be NaN: so that no logit is finite but wrong, neither a sum of an attention may
 * overflow nor, whatever it is multiplied by, a weight as bfloat16. */
static int check_reach(struct network *n, size_t i, const float *weights, const float *bias,
                       struct error *err)
{
    const struct layer *layer = &n->layers[i];
    n->steps[i].reach =
        attention_reach(&layer->shape, weights, bias, fmax(reach_of_input(n, i), 1));
    return n->steps[i].reach <= (double)FLT_MAX / 2
               ? ERR_OK
               : error_set(err, ERR_MODEL_UNSUPPORTED,
                           "layer %s: its weights are too large for int8; use another precision",
                           layer->name);
}

static void pack_excite(struct network *n, size_t i, const float *weights, const float *bias)
{
    const struct conv_shape *s = &n->layers[i].shape;
    size_t count = conv_weight_count(s);
    float *to = n->steps[i].packed;
    memcpy(to, bias, (size_t)s->out_c * sizeof *to);
    to += s->out_c;
    if (excite_precision(n) == PRECISION_F32)
        memcpy(to, weights, count * sizeof *to);
    else
        for (size_t w = 0; w < count; w++)
            ((uint16_t *)(void *)to)[w] = bf16_from_f32(weights[w]);
}

static void pack(struct network *n, size_t i, const struct conv_weights *weights)
{
    const struct step *step = &n->steps[i];
    const struct conv_shape own = conv_own(&step->shape);
    step->kernel->method->pack(step->kernel, &own, weights, step->packed);
}

/* Residuals are bytes, or what the shortcut gives. */
static double reach_of_output(const struct network *n, size_t i, const struct conv_weights *weights)
{
    const struct step *step = &n->steps[i];
    const struct conv_shape own = conv_own(&step->shape);
    double residual = step->shortcut < n->count ? n->steps[step->shortcut].reach : UINT8_MAX;
    return quantize_output_reach(&own, weights, residual);
}

static int pack_int8(struct network *n, size_t i, const float *weights, const float *bias,
                     struct error *err)
{
    const struct layer *layer = &n->layers[i];
    const struct quantization *residual =
        layer->residual == LAYER_NO_VALUE ? NULL : &n->values[layer->residual];
    struct conv_weights quantized;
    bool gives_numbers = n->steps[i].output == CONV_OUTPUT_FLOAT;
    int code = (reads_parts(n, i) ? fine_quantize : quantize_layer)(
        layer, weights, bias, n->roundings ? n->roundings[i] : NULL, &n->values[layer->input],
        gives_numbers ? NULL : &n->values[i + 1], residual, &quantized, err);
    if (code != ERR_OK)
        return code;
    pack(n, i, &quantized);
    n->steps[i].reach = reach_of_output(n, i, &quantized);
    quantize_destroy(&quantized);
    return ERR_OK;
}

int network_set_weights(struct network *n, size_t i, const float *weights, const float *bias,
                        struct error *err)
{
    CHECK(i < n->count && layer_has_weights(&n->layers[i]));
    const struct layer *layer = &n->layers[i];
    if (layer->kind == LAYER_EXCITE) {
        pack_excite(n, i, weights, bias);
        return n->precision == PRECISION_INT8 ? check_reach(n, i, weights, bias, err) : ERR_OK;
    }
    if (n->classifier.base && i == n->count - 1)
        memcpy(n->classifier.base, weights, n->classifier.size);
    if (is_int8_classifier(n, i))
        return classifier_pack(n->steps[i].kernel, layer, weights, bias, n->steps[i].packed, err);
    if (n->precision == PRECISION_INT8)
        return pack_int8(n, i, weights, bias, err);
    pack(n, i, &(struct conv_weights){.weights = weights, .bias = bias});
    return ERR_OK;
}

const float *network_classifier(const struct network *n)
{
    return (const float *)(const void *)n->classifier.base;
}

size_t network_layer_count(const struct network *n)
{
    return n->count;
}

const struct layer *network_layer(const struct network *n, size_t i)
{
    CHECK(i < n->count);
    return &n->layers[i];
}

size_t network_weight_bytes(const struct network *n)
{
    return n->weights.used;
}

enum precision network_precision(const struct network *n)
{
    return n->precision;
}

struct network_summary network_kernels(const struct network *n)
{
    struct network_summary summary = {0};
    for (size_t i = 0; i < n->count; i++)
        if (n->steps[i].kernel)
            network_summary_add(&summary, n->steps[i].kernel, &n->steps[i].shape);
    return summary;
}

int network_check_memory(const struct network *n, int threads, struct error *err)
{
    int (*asked)(int, struct error *) = NULL;
    for (size_t i = 0; i < n->count; i++) {
        const struct conv_kernel *kernel = n->steps[i].kernel;
        if (!kernel || !kernel->method->check_memory || kernel->method->check_memory == asked)
            continue;
        asked = kernel->method->check_memory;
        int code = asked(threads, err);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

const struct conv_kernel *network_kernel(const struct network *n, size_t i)
{
    CHECK(i < n->count);
    return n->steps[i].kernel;
}

const struct conv_shape *network_kernel_shape(const struct network *n, size_t i)
{
    CHECK(i < n->count && n->steps[i].kernel);
    return &n->steps[i].shape;
}

const struct layer *network_shortcut(const struct network *n, size_t i)
{
    CHECK(i < n->count);
    return n->steps[i].shortcut < n->count ? &n->layers[n->steps[i].shortcut] : NULL;
}

bool network_has_value(const struct network *n, int v)
{
    CHECK(v >= 0 && (size_t)v <= n->count);
    return v == 0 || !n->steps[v - 1].is_shortcut;
}

enum conv_output network_kernel_output(const struct network *n, size_t i)
{
    CHECK(i < n->count && n->steps[i].kernel);
    return n->steps[i].output;
}

static size_t scratch_bytes(const struct network *n)
{
    return arena_rounded(n->scratch_size + KERNEL_OVERREAD);
}

bool network_workspace_bytes(const struct network *n, int max_images, size_t *bytes)
{
    size_t activations;
    return size_mul(n->plan.total, (size_t)max_images, &activations) &&
           size_add(activations, scratch_bytes(n) + KERNEL_OVERREAD + ARENA_ALIGNMENT, bytes);
}

int workspace_create(struct workspace **out, const struct network *n, int max_images,
                     struct error *err)
{
    CHECK(max_images > 0);
    struct workspace *w = calloc(1, sizeof *w);
    if (!w)
        return error_set(err, ERR_NO_MEMORY, "no memory for a workspace");
    size_t size = 0;
    int code =
        network_workspace_bytes(n, max_images, &size)
            ? arena_create(&w->memory, size, err)
            : error_set(err, ERR_NO_MEMORY, "a workspace for %d images is too large", max_images);
    if (code != ERR_OK) {
        free(w);
        return code;
    }
    w->activations = arena_take(&w->memory, n->plan.total * (size_t)max_images + KERNEL_OVERREAD);
    w->scratch = arena_take(&w->memory, scratch_bytes(n));
    w->max_images = max_images;
    *out = w;
    return ERR_OK;
}

void workspace_destroy(struct workspace *w)
{
    if (!w)
        return;
    arena_destroy(&w->memory);
    free(w);
}

/* Offsets are for one image; a workspace has max_images times as much memory for each value. */
static unsigned char *value(const struct network *n, const struct workspace *w, int v)
{
    return w->activations + n->plan.offset[v] * (size_t)w->max_images;
}

void *workspace_input(struct workspace *w)
{
    return w->activations;
}

const void *workspace_value(const struct network *n, const struct workspace *w, int v)
{
    CHECK(v >= 0 && (size_t)v <= n->count);
    return value(n, w, v);
}

size_t network_value_size(const struct network *n, int v)
{
    CHECK(v >= 0 && (size_t)v <= n->count);
    const struct conv_shape *s = &n->layers[v ? v - 1 : 0].shape;
    return v ? (size_t)s->out_h * (size_t)s->out_w * (size_t)s->out_c
             : (size_t)s->in_h * (size_t)s->in_w * (size_t)s->in_c;
}

void network_read_value(const struct network *n, const struct workspace *w, int v, size_t first,
                        size_t count, float *out)
{
    CHECK(network_has_value(n, v));
    const void *from = workspace_value(n, w, v);
    enum precision precision = precision_of(n, (size_t)v);
    if (precision == PRECISION_F32) {
        memcpy(out, (const float *)from + first, count * sizeof *out);
    } else if (precision == PRECISION_BF16) {
        for (size_t i = 0; i < count; i++)
            out[i] = f32_from_bf16(((const uint16_t *)from)[first + i]);
    } else {
        fine_read(form_of(n, (size_t)v), &n->values[v], channels_of(n, (size_t)v), from, first,
                  count, out);
    }
}

int network_tile_count(const struct network *n, size_t i, int images)
{
    CHECK(i < n->count && images > 0);
    const struct layer *layer = &n->layers[i];
    if (n->steps[i].is_shortcut)
        return 0;
    if (is_int8_classifier(n, i))
        return images;
    if (n->steps[i].kernel)
        return n->steps[i].kernel->method->tile_count(n->steps[i].kernel, &n->steps[i].shape,
                                                      images);
    if (layer->kind == LAYER_EXCITE)
        return attention_excite_tiles(&layer->shape);
    bool sums = layer->kind == LAYER_SQUEEZE || layer->kind == LAYER_GLOBAL_POOL;
    return images * (sums ? sums_strips(layer->shape.in_c) : layer->shape.out_h);
}

static void run_convolution(const struct network *n, struct workspace *w, struct workspace *mine,
                            size_t i, int images, int begin, int end)
{
    const struct layer *layer = &n->layers[i];
    bool joins = n->steps[i].shortcut < n->count;
    bool adds = layer->residual != LAYER_NO_VALUE && !joins;
    int from = joins ? n->layers[n->steps[i].shortcut].input : 0;
    struct conv_call call = {
        .shape = &n->steps[i].shape,
        .packed = n->steps[i].packed,
        .x = value(n, w, layer->input),
        .gate = layer->gate ? (const float *)(const void *)value(n, w, layer->gate) : NULL,
        .residual = adds ? value(n, w, layer->residual) : NULL,
        .shortcut_x = joins ? value(n, w, from) : NULL,
        .shortcut_pitch = joins ? kernel_channels(n, (size_t)from) : 0,
        .y = value(n, w, (int)i + 1),
        .output = n->steps[i].output,
        .relu = layer->relu,
        .bounded = n->precision == PRECISION_INT8 && n->steps[i].reach <= CONV_BOUND,
        .images = images,
        .tile_begin = begin,
        .tile_end = end,
        .scratch = mine->scratch,
    };
    n->steps[i].kernel->method->run(n->steps[i].kernel, &call);
}

/* A tile is an image. */
static void run_classifier(const struct network *n, struct workspace *w, struct workspace *mine,
                           size_t i, int begin, int end)
{
    const struct layer *layer = &n->layers[i];
    const struct conv_shape *s = &layer->shape;
    const float *x = (const float *)(const void *)value(n, w, layer->input);
    float *y = (float *)(void *)value(n, w, (int)i + 1);
    for (int image = begin; image < end; image++)
        classifier_run(n->steps[i].kernel, s, n->steps[i].packed, x + image * s->in_c,
                       y + image * s->out_c, mine->scratch);
}

static void run_excite(const struct network *n, struct workspace *w, size_t i, int images,
                       int begin, int end)
{
    const struct layer *layer = &n->layers[i];
    const float *bias = n->steps[i].packed;
    const void *x = value(n, w, layer->input);
    void *y = value(n, w, (int)i + 1);
    attention_excite(&(struct excite_call){
        .precision = excite_precision(n),
        .shape = &layer->shape,
        .function = layer->excitation.function,
        .weights = bias + layer->shape.out_c,
        .bias = bias,
        .x = x,
        .y = y,
        .images = images,
        .tile_begin = begin,
        .tile_end = end,
    });
}

void network_run_tiles(const struct network *n, struct workspace *w, struct workspace *mine,
                       size_t i, int images, int begin, int end)
{
    CHECK(i < n->count && images > 0 && images <= w->max_images);
    const struct layer *layer = &n->layers[i];
    const struct conv_shape *shape = &layer->shape;
    const struct quantization *q = n->values ? &n->values[layer->input] : NULL;
    const void *x = value(n, w, layer->input);
    void *y = value(n, w, (int)i + 1);
    switch (layer->kind) {
    case LAYER_CONV:
        run_convolution(n, w, mine, i, images, begin, end);
        break;
    case LAYER_LINEAR:
        if (is_int8_classifier(n, i))
            run_classifier(n, w, mine, i, begin, end);
        else
            run_convolution(n, w, mine, i, images, begin, end);
        break;
    case LAYER_MAX_POOL:
        if (form_of(n, i + 1) == FINE_PLANES)
            fine_pool(shape, x, y, begin, end);
        else
            pool_max(n->precision, shape, x, y, begin, end);
        break;
    case LAYER_AVG_POOL:
        pool_mean(n->precision, shape, x, y, begin, end);
        break;
    case LAYER_BLUR_POOL:
        pool_blur(n->precision, shape, x, y, begin, end);
        break;
    case LAYER_GLOBAL_POOL:
        pool_average(n->precision, shape, x, q, y, begin, end);
        break;
    case LAYER_SQUEEZE:
        attention_squeeze(n->precision, shape, x, q, y, begin, end);
        break;
    case LAYER_EXCITE:
        run_excite(n, w, i, images, begin, end);
        break;
    }
}

void network_run_layer(const struct network *n, struct workspace *w, size_t i, int images)
{
    network_run_tiles(n, w, w, i, images, 0, network_tile_count(n, i, images));
}

const float *network_result(const struct network *n, const struct workspace *w)
{
    return workspace_value(n, w, (int)n->count);
}

const float *network_forward(const struct network *n, struct workspace *w, int images)
{
    for (size_t i = 0; i < n->count; i++)
        network_run_layer(n, w, i, images);
    return network_result(n, w);
}
