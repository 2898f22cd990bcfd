#include "nn/layer.h"

bool layer_has_weights(const struct layer *layer)
{
    return layer_has_kernel(layer) || layer->kind == LAYER_EXCITE;
}

bool layer_has_kernel(const struct layer *layer)
{
    return layer->kind == LAYER_CONV || layer->kind == LAYER_LINEAR;
}

bool layer_is_float32(const struct layer *layer)
{
    return layer->kind == LAYER_SQUEEZE || layer->kind == LAYER_EXCITE;
}

const char *layer_label(const struct layer *layer)
{
    return *layer->name ? layer->name : layer->kind == LAYER_GLOBAL_POOL ? "avg_pool" : "max_pool";
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
