#include "model/activation.h"

#include <math.h>

const char *activation_name(enum activation activation)
{
    static const char *const names[ACTIVATION_COUNT] = {
        [ACTIVATION_SOFTMAX] = "softmax",
        [ACTIVATION_SIGMOID] = "sigmoid",
    };
    return names[activation];
}

struct score_scale score_scale(enum activation activation, const float *logits, int classes)
{
    struct score_scale scale = {.activation = activation, .largest = logits[0]};
    if (activation == ACTIVATION_SIGMOID)
        return scale;
    for (int i = 1; i < classes; i++)
        scale.largest = fmax(scale.largest, logits[i]);
    for (int i = 0; i < classes; i++)
        scale.sum += exp(logits[i] - scale.largest);
    return scale;
}

float score_of(const struct score_scale *scale, float logit)
{
    if (scale->activation == ACTIVATION_SIGMOID)
        return (float)(1 / (1 + exp(-(double)logit)));
    return (float)(exp(logit - scale->largest) / scale->sum);
}
