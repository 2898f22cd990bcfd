#include "nn/shortcut.h"

static bool is_pointwise(const struct layer *l)
{
    const struct conv_shape *s = &l->shape;
    return l->kind == LAYER_CONV && s->kernel == 1 && s->pad == 0 && s->groups == 1;
}

static bool is_projection(const struct layer *l)
{
    return is_pointwise(l) && !l->relu && !l->gate && l->residual == LAYER_NO_VALUE;
}

/* Whether no layer but `i` reads value v, and that as its residual. */
static bool is_for(const struct layer *layers, size_t count, int v, size_t i)
{
    for (size_t k = (size_t)v; k < count; k++)
        if (layers[k].input == v || (layers[k].residual == v && k != i))
            return false;
    return true;
}

size_t shortcut_of(const struct layer *layers, size_t count, size_t i)
{
    int v = layers[i].residual;
    bool joined = v > 0 && i + 1 < count && is_pointwise(&layers[i]) &&
                  is_projection(&layers[v - 1]) && is_for(layers, count, v, i);
    return joined ? (size_t)v - 1 : count;
}
