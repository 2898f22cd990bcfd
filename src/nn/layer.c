#include "nn/layer.h"

static bool has_weights(const struct layer *layer)
{
    return layer->kind == LAYER_CONV || layer->kind == LAYER_LINEAR;
}

static int64_t weight_count(const struct conv_shape *s)
{
    return (int64_t)s->out_c * (s->in_c / s->groups) * s->kernel * s->kernel;
}

int64_t layer_parameters(const struct layer *layer)
{
    if (!has_weights(layer))
        return 0;
    int64_t beside =
        layer->kind == LAYER_LINEAR ? 1 : 2; /* bias, or batch norm's scale and shift */
    return weight_count(&layer->shape) + beside * layer->shape.out_c;
}

int64_t layer_multiply_adds(const struct layer *layer)
{
    const struct conv_shape *s = &layer->shape;
    return has_weights(layer) ? weight_count(s) * s->out_h * s->out_w : 0;
}
