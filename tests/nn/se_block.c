#include "tests/nn/se_block.h"

#include <check.h>
#include <math.h>
#include <string.h>

#include "tests/nn/input.h"
#include "tests/random.h"

enum {
    CONV1,
    MAX,
    BLUR,
    CONV2,
    SQUEEZE,
    FC1,
    FC2,
    AVG,
    DOWN,
    CONV3,
    GLOBAL,
    CLASSIFIER,
    STEM = 16,
    WIDTH = 8,
    OUT = 24,
    REDUCED = 5,
    EDGE = 3,
    PIXELS = EDGE * EDGE,
    MAX_CHANNELS = 72,
    MAX_VALUES = 10 * 10 * STEM,
    MAX_WEIGHTS = 9 * STEM * OUT,
};

void se_layers(int kernel, struct layer layers[SE_LAYERS])
{
    const int none = LAYER_NO_VALUE, taps = kernel * kernel, pad = kernel / 2;
    const struct layer all[SE_LAYERS] = {
        [CONV1] = {.kind = LAYER_CONV,
                   .name = "conv1",
                   .shape = {19, 19, 3, 10, 10, STEM, 3, 2, 1, 1},
                   .relu = true,
                   .input = 0,
                   .residual = none},
        [MAX] = {.kind = LAYER_MAX_POOL,
                 .shape = {10, 10, STEM, 10, 10, STEM, 3, 1, 1, 1},
                 .input = 1,
                 .residual = none},
        [BLUR] = {.kind = LAYER_BLUR_POOL,
                  .shape = {10, 10, STEM, 5, 5, STEM, 3, 2, 1, 1},
                  .input = 2,
                  .residual = none},
        [CONV2] = {.kind = LAYER_CONV,
                   .name = "conv2",
                   .shape = {5, 5, STEM, EDGE, EDGE, WIDTH, 3, 2, 1, 2},
                   .relu = true,
                   .input = 3,
                   .residual = none},
        [SQUEEZE] = {.kind = LAYER_SQUEEZE,
                     .shape = {EDGE, EDGE, WIDTH, 1, 1, taps * WIDTH, kernel, 1, pad, 1},
                     .input = 4,
                     .residual = none},
        [FC1] = {.kind = LAYER_EXCITE,
                 .name = "se.fc1",
                 .shape = {1, 1, taps * WIDTH, 1, 1, REDUCED, 1, 1, 0, 1},
                 .input = SE_SQUEEZED,
                 .residual = none,
                 .excitation = {.function = EXCITE_RELU, .conv = CONV3, .channels = OUT}},
        [FC2] = {.kind = LAYER_EXCITE,
                 .name = "se.fc2",
                 .shape = {1, 1, REDUCED, 1, 1, OUT, 1, 1, 0, 1},
                 .input = 6,
                 .residual = none,
                 .excitation = {.function = EXCITE_SIGMOID, .channels = REDUCED}},
        [AVG] = {.kind = LAYER_AVG_POOL,
                 .shape = {5, 5, STEM, EDGE, EDGE, STEM, 2, 2, 0, 1},
                 .input = 3,
                 .residual = none},
        [DOWN] = {.kind = LAYER_CONV,
                  .name = "down",
                  .shape = {EDGE, EDGE, STEM, EDGE, EDGE, OUT, 1, 1, 0, 1},
                  .input = 8,
                  .residual = none},
        [CONV3] = {.kind = LAYER_CONV,
                   .name = "conv3",
                   .shape = {EDGE, EDGE, WIDTH, EDGE, EDGE, OUT, kernel, 1, pad, 1},
                   .relu = true,
                   .input = 4,
                   .residual = SE_SHORTCUT,
                   .gate = SE_GATE},
        [GLOBAL] = {.kind = LAYER_GLOBAL_POOL,
                    .shape = {EDGE, EDGE, OUT, 1, 1, OUT, EDGE, 1, 0, 1},
                    .input = 10,
                    .residual = none},
        [CLASSIFIER] = {.kind = LAYER_LINEAR,
                        .name = "fc",
                        .shape = {1, 1, OUT, 1, 1, SE_CLASSES, 1, 1, 0, 1},
                        .input = 11,
                        .residual = none},
    };
    memcpy(layers, all, sizeof all);
}

/* Those of attention are not read. */
static void make_scales(const struct layer *layers, struct quantization values[SE_LAYERS])
{
    static float scale[2][MAX_CHANNELS], zero[2][MAX_CHANNELS];
    for (int i = 0; i < MAX_CHANNELS; i++) {
        scale[0][i] = 8.0F / 255;
        zero[0][i] = 128;
        scale[1][i] = 4.0F / 255;
    }
    values[0] = (struct quantization){scale[0], zero[0], NULL};
    for (int i = 0; i + 1 < SE_LAYERS; i++) {
        bool positive = layers[i].relu;
        values[i + 1] = layer_is_attention(&layers[i]) ? (struct quantization){NULL, NULL, NULL}
                        : layer_has_kernel(&layers[i]) || layers[i].kind == LAYER_GLOBAL_POOL
                            ? (struct quantization){scale[positive], zero[positive], NULL}
                            : values[layers[i].input];
    }
}

/* The weights in PyTorch's order; fc1 still [REDUCED][OUT]. */
struct parameters {
    float weights[MAX_WEIGHTS], bias[MAX_CHANNELS];
};
static struct parameters parameters[SE_LAYERS];

static void make_parameters(void)
{
    uint64_t seed = 5;
    for (int i = 0; i < SE_LAYERS; i++) {
        float scale = i == FC1 || i == FC2 ? 2 : i == CONV3 ? 0.5F : 0.2F;
        random_floats(&seed, parameters[i].weights, MAX_WEIGHTS);
        random_floats(&seed, parameters[i].bias, MAX_CHANNELS);
        for (int w = 0; w < MAX_WEIGHTS; w++)
            parameters[i].weights[w] *= scale;
    }
}

/* fc1 of a mean of conv3's output, as a layer on the means of what its taps see. */
static void compose(int taps, struct parameters *out)
{
    const struct parameters *fc = &parameters[FC1], *conv = &parameters[CONV3];
    for (int r = 0; r < REDUCED; r++) {
        double bias = fc->bias[r];
        for (int o = 0; o < OUT; o++)
            bias += (double)fc->weights[r * OUT + o] * (double)conv->bias[o];
        out->bias[r] = (float)bias;
        for (int tap = 0; tap < taps; tap++)
            for (int c = 0; c < WIDTH; c++) {
                double sum = 0;
                for (int o = 0; o < OUT; o++)
                    sum += (double)fc->weights[r * OUT + o] *
                           (double)conv->weights[(o * WIDTH + c) * taps + tap];
                out->weights[(r * taps + tap) * WIDTH + c] = (float)sum;
            }
    }
}

struct network *se_network(const char *isa, enum precision precision, int kernel)
{
    static struct parameters composed;
    struct layer layers[SE_LAYERS];
    struct quantization values[SE_LAYERS];
    struct network_options options = {.precision = precision, .values = values};
    struct network *network;
    se_layers(kernel, layers);
    make_scales(layers, values);
    make_parameters();
    compose(kernel * kernel, &composed);
    ck_assert(kernel_isas_select(isa, &options.isas));
    ck_assert_int_eq(network_create(&network, layers, SE_LAYERS, &options, NULL), ERR_OK);
    for (size_t i = 0; i < SE_LAYERS; i++) {
        const struct parameters *p = i == FC1 ? &composed : &parameters[i];
        if (layer_has_weights(&layers[i]))
            ck_assert_int_eq(network_set_weights(network, i, p->weights, p->bias, NULL), ERR_OK);
    }
    return network;
}

void se_fill(enum precision precision, void *input, int images)
{
    input_fill(precision, input, images * SE_INPUT);
}

/* x at a pixel, 0 outside. */
static double at(const struct conv_shape *s, const double *x, int row, int column, int c)
{
    bool inside = row >= 0 && row < s->in_h && column >= 0 && column < s->in_w;
    return inside ? x[(row * s->in_w + column) * s->in_c + c] : 0;
}

static double convolve(const struct conv_shape *s, const struct parameters *p, const double *x,
                       int row, int column, int o)
{
    int each = s->in_c / s->groups, first = o / (s->out_c / s->groups) * each;
    double sum = p->bias[o];
    for (int c = 0; c < each; c++)
        for (int ky = 0; ky < s->kernel; ky++)
            for (int kx = 0; kx < s->kernel; kx++)
                sum += (double)p->weights[((o * each + c) * s->kernel + ky) * s->kernel + kx] *
                       at(s, x, row * s->stride - s->pad + ky, column * s->stride - s->pad + kx,
                          first + c);
    return sum;
}

static int mirrored(int i, int size)
{
    return i < 0 ? -i : i >= size ? 2 * size - 2 - i : i;
}

static double pool(const struct layer *layer, const double *x, int row, int column, int c)
{
    static const double blur[] = {0.25, 0.5, 0.25};
    const struct conv_shape *s = &layer->shape;
    double max = -INFINITY, sum = 0, blurred = 0, count = 0;
    for (int ky = 0; ky < s->kernel; ky++)
        for (int kx = 0; kx < s->kernel; kx++) {
            int y = row * s->stride - s->pad + ky, z = column * s->stride - s->pad + kx;
            if (layer->kind == LAYER_BLUR_POOL)
                blurred +=
                    blur[ky] * blur[kx] * at(s, x, mirrored(y, s->in_h), mirrored(z, s->in_w), c);
            if (y < 0 || y >= s->in_h || z < 0 || z >= s->in_w)
                continue;
            max = fmax(max, at(s, x, y, z, c));
            sum += at(s, x, y, z, c);
            count++;
        }
    return layer->kind == LAYER_MAX_POOL    ? max
           : layer->kind == LAYER_BLUR_POOL ? blurred
                                            : sum / count;
}

static void run_plain(const struct layer *layer, const struct parameters *p, const double *x,
                      double *y)
{
    const struct conv_shape *s = &layer->shape;
    for (int row = 0; row < s->out_h; row++)
        for (int column = 0; column < s->out_w; column++)
            for (int c = 0; c < s->out_c; c++, y++) {
                *y = layer_has_kernel(layer) ? convolve(s, p, x, row, column, c)
                                             : pool(layer, x, row, column, c);
                *y = layer->relu && layer->gate == 0 && *y < 0 ? 0 : *y;
            }
}

/* A channel's mean. */
static double mean_of(const double z[PIXELS * OUT], int c)
{
    double sum = 0;
    for (int p = 0; p < PIXELS; p++)
        sum += z[p * OUT + c];
    return sum / PIXELS;
}

static void scale_channels(double z[PIXELS * OUT], const double *shortcut)
{
    double hidden[REDUCED];
    for (int r = 0; r < REDUCED; r++) {
        hidden[r] = parameters[FC1].bias[r];
        for (int c = 0; c < OUT; c++)
            hidden[r] += (double)parameters[FC1].weights[r * OUT + c] * mean_of(z, c);
        hidden[r] = fmax(hidden[r], 0);
    }
    for (int c = 0; c < OUT; c++) {
        double sum = parameters[FC2].bias[c];
        for (int r = 0; r < REDUCED; r++)
            sum += (double)parameters[FC2].weights[c * REDUCED + r] * hidden[r];
        for (int p = 0; p < PIXELS; p++) {
            double y = z[p * OUT + c] / (1 + exp(-sum)) + shortcut[p * OUT + c];
            z[p * OUT + c] = fmax(y, 0);
        }
    }
}

void se_expected(int kernel, const float input[SE_INPUT], double logits[SE_CLASSES])
{
    static double values[SE_LAYERS + 1][MAX_VALUES];
    struct layer layers[SE_LAYERS];
    se_layers(kernel, layers);
    make_parameters();
    for (int i = 0; i < SE_INPUT; i++)
        values[0][i] = input[i];
    for (int i = 0; i < SE_LAYERS; i++) {
        if (!layer_is_attention(&layers[i]))
            run_plain(&layers[i], &parameters[i], values[layers[i].input], values[i + 1]);
        if (layers[i].gate)
            scale_channels(values[i + 1], values[layers[i].residual]);
    }
    memcpy(logits, values[SE_LAYERS], SE_CLASSES * sizeof *logits);
}
