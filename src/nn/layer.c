#include "nn/layer.h"

bool layer_has_weights(const struct layer *layer)
{
    return layer->kind == LAYER_CONV || layer->kind == LAYER_LINEAR;
}

const char *layer_label(const struct layer *layer)
{
    return layer->kind == LAYER_MAX_POOL   ? "max_pool"
           : layer->kind == LAYER_AVG_POOL ? "avg_pool"
                                           : layer->name;
}

int64_t layer_parameters(const struct layer *layer)
{
    if (!layer_has_weights(layer))
        return 0;
    int64_t beside =
        layer->kind == LAYER_LINEAR ? 1 : 2; /* bias, or batch norm's scale and shift */
    return (int64_t)conv_weight_count(&layer->shape) + beside * layer->shape.out_c;
}

int64_t layer_multiply_adds(const struct layer *layer)
{
    const struct conv_shape *s = &layer->shape;
    return layer_has_weights(layer) ? (int64_t)conv_weight_count(s) * s->out_h * s->out_w : 0;
}
