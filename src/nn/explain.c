#include "nn/explain.h"

#include <math.h>

#include "base/check.h"
#include "nn/finite.h"

/* The two last layers: the mean, and the classifier on it. */
enum { MEAN_FROM_END = 2, CLASSIFIER_FROM_END = 1 };

static const struct layer *from_end(const struct network *n, size_t i)
{
    return network_layer(n, network_layer_count(n) - i);
}

struct feature_shape explain_shape(const struct network *n)
{
    CHECK(network_layer_count(n) > MEAN_FROM_END &&
          from_end(n, MEAN_FROM_END)->kind == LAYER_GLOBAL_POOL &&
          from_end(n, CLASSIFIER_FROM_END)->kind == LAYER_LINEAR);
    const struct conv_shape *s = &from_end(n, MEAN_FROM_END)->shape;
    return (struct feature_shape){s->in_h, s->in_w, s->in_c};
}

int explain_embedding(const struct network *n, const struct workspace *w, int image, float *out,
                      struct error *err)
{
    size_t channels = (size_t)explain_shape(n).channels;
    network_read_value(n, w, from_end(n, CLASSIFIER_FROM_END)->input, (size_t)image * channels,
                       channels, out);
    return finite_check(out, channels, "features", err);
}

/* The sum over channels of weight x feature at place `at`. */
static float place_value(const struct network *n, const struct workspace *w, size_t at,
                         const float *weights, size_t channels)
{
    enum { PIECE = 256 };
    float features[PIECE];
    int map = from_end(n, MEAN_FROM_END)->input;
    double sum = 0;
    for (size_t c = 0; c < channels; c += PIECE) {
        size_t count = channels - c < PIECE ? channels - c : PIECE;
        network_read_value(n, w, map, at * channels + c, count, features);
        for (size_t i = 0; i < count; i++)
            sum += (double)weights[c + i] * (double)features[i];
    }
    return (float)sum;
}

int explain_class(const struct network *n, const struct workspace *w, int image, int class_id,
                  float *map, struct error *err)
{
    struct feature_shape shape = explain_shape(n);
    CHECK(class_id >= 0 && class_id < from_end(n, CLASSIFIER_FROM_END)->shape.out_c);
    size_t channels = (size_t)shape.channels, places = (size_t)shape.rows * (size_t)shape.cols;
    const float *weights = network_classifier(n) + (size_t)class_id * channels;
    for (size_t i = 0; i < places; i++)
        map[i] = place_value(n, w, (size_t)image * places + i, weights, channels);
    return finite_check(map, places, "class activations", err);
}

void explain_normalize(float *vector, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)vector[i] * (double)vector[i];
    double length = sqrt(sum);
    for (size_t i = 0; i < count && length > 0; i++)
        vector[i] = (float)((double)vector[i] / length);
}
