#include "nn/layer.h"

bool layer_has_weights(const struct layer *layer)
{
    return layer_has_kernel(layer) || layer->kind == LAYER_EXCITE;
}

bool layer_has_kernel(const struct layer *layer)
{
    return layer->kind == LAYER_CONV || layer->kind == LAYER_LINEAR;
}

bool layer_is_attention(const struct layer *layer)
{
    return layer->kind == LAYER_SQUEEZE || layer->kind == LAYER_EXCITE;
}

enum precision layer_value_precision(const struct layer *layers, size_t count, size_t v,
                                     enum precision precision)
{
    if (v == 0)
        return precision;
    const struct layer *made_by = &layers[v - 1];
    bool features = precision == PRECISION_INT8 && made_by->kind == LAYER_GLOBAL_POOL;
    return v == count || layer_is_attention(made_by) || features ? PRECISION_F32 : precision;
}

/* Whether the last of `out` windows begins inside the map. */
static bool windows_fit(const struct conv_shape *s, int in, int out)
{
    return s->pad < s->kernel && (int64_t)(out - 1) * s->stride - s->pad < in;
}

static bool is_window(const struct conv_shape *s, int kernel, int stride, int pad)
{
    return s->kernel == kernel && s->stride == stride && s->pad == pad;
}

static bool is_halved(int in, int out)
{
    return out > 0 && (out == in / 2 || out == in - in / 2);
}

static bool is_pixel(int h, int w)
{
    return h == 1 && w == 1;
}

static bool squeeze_is_sound(const struct conv_shape *s)
{
    return (s->kernel == 1 || s->kernel == 3) && is_window(s, s->kernel, 1, s->kernel / 2) &&
           is_pixel(s->out_h, s->out_w) && s->out_c == s->kernel * s->kernel * s->in_c;
}

static bool pool_is_sound(enum layer_kind kind, const struct conv_shape *s)
{
    if (s->in_c != s->out_c)
        return false;
    if (kind == LAYER_AVG_POOL)
        return is_window(s, 2, 2, 0) && is_halved(s->in_h, s->out_h) &&
               is_halved(s->in_w, s->out_w);
    if (kind == LAYER_BLUR_POOL)
        return is_window(s, 3, 2, 1) && s->in_h > 1 && s->in_w > 1 &&
               s->out_h == s->in_h - s->in_h / 2 && s->out_w == s->in_w - s->in_w / 2;
    if (kind == LAYER_MAX_POOL)
        return windows_fit(s, s->in_h, s->out_h) && windows_fit(s, s->in_w, s->out_w);
    return is_pixel(s->out_h, s->out_w);
}

static bool shape_is_sound(const struct layer *layer)
{
    const struct conv_shape *s = &layer->shape;
    if (layer_has_kernel(layer))
        return s->groups > 0 && s->in_c % s->groups == 0 && s->out_c % s->groups == 0;
    if (layer->kind == LAYER_SQUEEZE)
        return squeeze_is_sound(s);
    if (layer->kind == LAYER_EXCITE)
        return s->kernel == 1 && is_pixel(s->in_h, s->in_w) && is_pixel(s->out_h, s->out_w);
    return pool_is_sound(layer->kind, s);
}

/* Value v, which has the shape of what made it, or of what the first layer reads. */
static bool has_shape(const struct layer *layers, int v, int h, int w, int c)
{
    const struct conv_shape *s = &layers[v ? v - 1 : 0].shape;
    return v ? s->out_h == h && s->out_w == w && s->out_c == c
             : s->in_h == h && s->in_w == w && s->in_c == c;
}

static bool is_attention(const struct layer *layers, int v)
{
    return v > 0 && layer_is_attention(&layers[v - 1]);
}

/* The features of the head are not negative: nn/classifier.h. */
static bool is_relu(const struct layer *layers, int v)
{
    return v > 0 && layers[v - 1].relu;
}

static bool inputs_are_sound(const struct layer *layers, int i)
{
    const struct layer *l = &layers[i];
    const struct conv_shape *s = &l->shape;
    bool adds = l->residual != LAYER_NO_VALUE, excites = l->kind == LAYER_EXCITE;
    if (l->input < 0 || l->input > i || !has_shape(layers, l->input, s->in_h, s->in_w, s->in_c) ||
        is_attention(layers, l->input) != excites ||
        (l->kind == LAYER_GLOBAL_POOL && !is_relu(layers, l->input)))
        return false;
    if (adds && (l->kind != LAYER_CONV || l->residual < 0 || l->residual > i ||
                 !has_shape(layers, l->residual, s->out_h, s->out_w, s->out_c) ||
                 is_attention(layers, l->residual)))
        return false;
    return l->gate == 0 ||
           (l->kind == LAYER_CONV && s->groups == 1 && l->gate > 0 && l->gate <= i &&
            layers[l->gate - 1].kind == LAYER_EXCITE && has_shape(layers, l->gate, 1, 1, s->out_c));
}

bool layers_are_sound(const struct layer *layers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!shape_is_sound(&layers[i]) || !inputs_are_sound(layers, (int)i))
            return false;
    return count > 0;
}

const char *layer_label(const struct layer *layer)
{
    static const char *const labels[] = {
        [LAYER_CONV] = "conv",
        [LAYER_MAX_POOL] = "max_pool",
        [LAYER_AVG_POOL] = "mean_pool",
        [LAYER_BLUR_POOL] = "blur_pool",
        [LAYER_GLOBAL_POOL] = "avg_pool",
        [LAYER_SQUEEZE] = "squeeze",
        [LAYER_EXCITE] = "excite",
        [LAYER_LINEAR] = "linear",
    };
    return *layer->name ? layer->name : labels[layer->kind];
}

int64_t layer_parameters(const struct layer *layer)
{
    if (!layer_has_weights(layer))
        return 0;
    const struct excitation *e = &layer->excitation;
    if (layer->kind == LAYER_EXCITE)
        return e->kernel ? e->kernel : ((int64_t)e->channels + 1) * layer->shape.out_c;
    if (layer->kind == LAYER_CONV && !*layer->norm)
        return 0; /* the identity */
    int64_t beside =
        layer->kind == LAYER_LINEAR ? 1 : 2; /* bias, or batch norm's scale and shift */
    return (int64_t)conv_weight_count(&layer->shape) + beside * layer->shape.out_c;
}

int64_t layer_multiply_adds(const struct layer *layer)
{
    const struct conv_shape *s = &layer->shape;
    return layer_has_weights(layer) ? (int64_t)conv_weight_count(s) * s->out_h * s->out_w : 0;
}
