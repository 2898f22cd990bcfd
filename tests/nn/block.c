#include "tests/nn/block.h"

#include <check.h>
#include <math.h>
#include <string.h>

#include "tests/nn/input.h"
#include "tests/random.h"

enum { CLASSIFIER = BLOCK_LAYERS - 1, MAX_WEIGHTS = 1 << 14, MAX_BIASES = 64 };

float block_classifier[BLOCK_CLASSES * BLOCK_CHANNELS], block_classifier_bias[BLOCK_CLASSES];

static struct conv_shape block_shape(int in, int in_c, int out_c, int kernel, int stride,
                                     int groups)
{
    int pad = kernel / 2, out = (in + 2 * pad - kernel) / stride + 1;
    return (struct conv_shape){in, in, in_c, out, out, out_c, kernel, stride, pad, groups};
}

void block_layers(struct layer layers[BLOCK_LAYERS])
{
    const struct layer all[BLOCK_LAYERS] = {
        {.kind = LAYER_CONV,
         .name = "conv1",
         .norm = "bn1",
         .shape = block_shape(30, 3, 16, 7, 2, 1),
         .relu = true,
         .residual = LAYER_NO_VALUE},
        {.kind = LAYER_MAX_POOL,
         .shape = block_shape(15, 16, 16, 3, 2, 1),
         .input = 1,
         .residual = LAYER_NO_VALUE},
        {.kind = LAYER_CONV,
         .name = "a.conv1",
         .norm = "a.bn1",
         .shape = block_shape(8, 16, 8, 1, 1, 1),
         .relu = true,
         .input = 2,
         .residual = LAYER_NO_VALUE},
        {.kind = LAYER_CONV,
         .name = "a.conv2",
         .norm = "a.bn2",
         .shape = block_shape(8, 8, 8, 3, 2, 2),
         .relu = true,
         .input = 3,
         .residual = LAYER_NO_VALUE},
        {.kind = LAYER_CONV,
         .name = "a.down",
         .norm = "a.bnd",
         .shape = block_shape(8, 16, 24, 1, 2, 1),
         .input = 2,
         .residual = LAYER_NO_VALUE},
        {.kind = LAYER_CONV,
         .name = "a.conv3",
         .norm = "a.bn3",
         .shape = block_shape(4, 8, 24, 1, 1, 1),
         .relu = true,
         .input = 4,
         .residual = 5},
        {.kind = LAYER_CONV,
         .name = "b.conv1",
         .norm = "b.bn1",
         .shape = block_shape(4, 24, 8, 1, 1, 1),
         .relu = true,
         .input = 6,
         .residual = LAYER_NO_VALUE},
        {.kind = LAYER_CONV,
         .name = "b.conv2",
         .norm = "b.bn2",
         .shape = block_shape(4, 8, 8, 3, 1, 2),
         .relu = true,
         .input = 7,
         .residual = LAYER_NO_VALUE},
        {.kind = LAYER_CONV,
         .name = "b.conv3",
         .norm = "b.bn3",
         .shape = block_shape(4, 8, 24, 1, 1, 1),
         .relu = true,
         .input = 8,
         .residual = 6},
        {.kind = LAYER_GLOBAL_POOL,
         .shape = {4, 4, 24, 1, 1, 24, 4, 1, 0, 1},
         .input = 9,
         .residual = LAYER_NO_VALUE},
        {.kind = LAYER_LINEAR,
         .name = "fc",
         .shape = block_shape(1, 24, BLOCK_CLASSES, 1, 1, 1),
         .input = 10,
         .residual = LAYER_NO_VALUE},
    };
    for (int i = 0; i < BLOCK_LAYERS; i++)
        layers[i] = all[i];
}

void block_scales(const struct layer *layers, struct quantization values[BLOCK_LAYERS + 1])
{
    static float scale[2][64], zero[2][64];
    for (int i = 0; i < 64; i++) {
        scale[0][i] = 8.0F / 255;
        zero[0][i] = 128;
        scale[1][i] = 4.0F / 255;
    }
    for (int v = 0; v <= BLOCK_LAYERS; v++) {
        int maker = v - 1;
        while (maker > 0 && !layer_has_kernel(&layers[maker]))
            maker = layers[maker].input - 1;
        bool positive = v > 0 && layers[maker].relu;
        values[v] = (struct quantization){scale[positive], zero[positive], NULL};
    }
}

void block_fill(enum precision precision, void *input, int images)
{
    input_fill(precision, input, images * BLOCK_INPUT);
}

static void set_weights(struct network *network, size_t layer, float scale, uint64_t *seed)
{
    static float weights[MAX_WEIGHTS], bias[MAX_BIASES];
    random_floats(seed, weights, MAX_WEIGHTS);
    random_floats(seed, bias, MAX_BIASES);
    for (size_t w = 0; w < MAX_WEIGHTS; w++)
        weights[w] *= scale;
    ck_assert_int_eq(network_set_weights(network, layer, weights, bias, NULL), ERR_OK);
    if (layer == CLASSIFIER) {
        memcpy(block_classifier, weights, sizeof block_classifier);
        memcpy(block_classifier_bias, bias, sizeof block_classifier_bias);
    }
}

struct network *block_network(const char *isa, enum precision precision, float scale)
{
    struct layer layers[BLOCK_LAYERS];
    struct quantization values[BLOCK_LAYERS + 1];
    struct network_options options = {.precision = precision, .values = values};
    struct network *network;
    uint64_t seed = 5;
    block_layers(layers);
    block_scales(layers, values);
    ck_assert(kernel_isas_select(isa, &options.isas));
    ck_assert_int_eq(network_create(&network, layers, BLOCK_LAYERS, &options, NULL), ERR_OK);
    for (size_t i = 0; i < BLOCK_LAYERS; i++)
        if (layer_has_kernel(&layers[i]))
            set_weights(network, i, scale, &seed);
    return network;
}
