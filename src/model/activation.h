/* How a network's logits become scores. */
#ifndef RESNEXT_MODEL_ACTIVATION_H
#define RESNEXT_MODEL_ACTIVATION_H

enum activation {
    ACTIVATION_SOFTMAX, /* a picture has one class: the scores add up to 1 */
    ACTIVATION_SIGMOID, /* classes are independent: a picture may have several, or none */
    ACTIVATION_COUNT
};

/* "softmax", "sigmoid". */
const char *activation_name(enum activation activation);

/* What the scores of one picture have in common. */
struct score_scale {
    enum activation activation;
    double largest, sum; /* of softmax: the largest logit, the sum of exp(logit - largest) */
};

/* `logits`, [classes], are finite. */
struct score_scale score_scale(enum activation activation, const float *logits, int classes);

/* The score, 0 to 1, of one of these logits. */
float score_of(const struct score_scale *scale, float logit);

#endif
