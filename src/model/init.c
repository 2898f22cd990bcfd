#include "model/init.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/checkpoint.h"
#include "model/config.h"
#include "model/config_writer.h"

/* Mean and variance of a value's elements under the assumption that they are normal. */
struct moments {
    double mean, variance;
};

/* SplitMix64. */
static uint64_t random_bits(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15U;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

/* In (0, 1). */
static double random_unit(uint64_t *state)
{
    return ((double)(random_bits(state) >> 11) + 0.5) / 9007199254740992.0;
}

/* Standard normal, by Box and Muller. */
static double random_normal(uint64_t *state)
{
    double radius = sqrt(-2 * log(random_unit(state)));
    return radius * cos(2 * M_PI * random_unit(state));
}

/* Of max(0, x) when x is normal. */
static struct moments rectified(struct moments x)
{
    double sigma = sqrt(x.variance), t = x.mean / sigma;
    double density = exp(-t * t / 2) / sqrt(2 * M_PI), below = erfc(-t / M_SQRT2) / 2;
    double mean = x.mean * below + sigma * density;
    double square = (x.mean * x.mean + x.variance) * below + x.mean * sigma * density;
    return (struct moments){mean, square - mean * mean};
}

/* About what a sigmoid of a small number is. */
static const double GATE = 0.5;

/* Batch norm's scale. The last convolution of a block gets 0.5 / sqrt(n) where its stage has n
 * blocks, so that all of them together add a quarter of the shortcut's variance. With 1 each, deep
 * stages would grow with their depth, and magnify rounding errors ten thousandfold. */
static double norm_scale(const struct layer *layers, size_t count, const struct layer *layer)
{
    int blocks = 0;
    if (layer->residual == LAYER_NO_VALUE)
        return 1;
    for (size_t i = 0; i < count; i++)
        blocks += layers[i].residual != LAYER_NO_VALUE &&
                  layers[i].shape.out_h == layer->shape.out_h &&
                  layers[i].shape.out_c == layer->shape.out_c;
    return (layer->gate ? 0.5 / GATE : 0.5) / sqrt(blocks);
}

/* What batch norm (of that scale, shift 0), shortcut and ReLU make of a convolution's output. */
static struct moments layer_output(const struct layer *layer, double scale,
                                   const struct moments *values)
{
    struct moments y = {0, scale * scale};
    if (!layer_has_weights(layer) || checkpoint_is_identity(layer))
        y = values[layer->input];
    if (layer->kind == LAYER_AVG_POOL || layer->kind == LAYER_BLUR_POOL)
        y.variance /= 2; /* neighbours resemble each other */
    if (!layer_has_weights(layer))
        return y;
    if (layer->gate) {
        y.mean *= GATE;
        y.variance *= GATE * GATE;
    }
    if (layer->residual != LAYER_NO_VALUE) {
        y.mean += values[layer->residual].mean;
        y.variance += values[layer->residual].variance;
    }
    return layer->relu ? rectified(y) : y;
}

static void fill(float *out, size_t count, double value)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (float)value;
}

/* Rows of `each` normal numbers, each row centred, so that the inputs' common mean has no effect.
 */
static void fill_filters(uint64_t *state, float *out, size_t rows, size_t each, double sigma)
{
    for (; rows > 0; rows--, out += each) {
        double sum = 0;
        for (size_t i = 0; i < each; i++) {
            out[i] = (float)(sigma * random_normal(state));
            sum += out[i];
        }
        for (size_t i = 0; i < each && each > 1; i++)
            out[i] -= (float)(sum / (double)each);
    }
}

/* One tensor, which is number `i` of checkpoint_layer_tensors. */
static void fill_tensor(uint64_t *state, const struct layer *layer,
                        const struct tensor_info *tensor, size_t i, double scale,
                        struct moments input, float *out)
{
    enum { WEIGHT, NORM_WEIGHT, NORM_BIAS, NORM_MEAN, NORM_VARIANCE };
    size_t rows = tensor->shape[0], each = tensor->elements / rows;
    bool linear = layer->kind != LAYER_CONV;
    if (i == WEIGHT && layer->excitation.kernel)
        fill(out, each, 1.0 / (double)each);
    else if (i == WEIGHT)
        fill_filters(state, out, rows, each, sqrt((linear ? 1.0 : 2.0) / (double)each));
    else if (i == NORM_WEIGHT && !linear)
        fill(out, rows, scale);
    else
        fill(out, rows, i == NORM_VARIANCE ? 2 * input.variance : 0);
}

static int write_layer(struct safetensors_writer *writer, const struct layer *layer, double scale,
                       struct moments input, uint64_t *state, struct error *err)
{
    struct tensor_info tensors[CHECKPOINT_LAYER_TENSORS];
    size_t count = checkpoint_layer_tensors(layer, tensors);
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < count; i++) {
        float *values = calloc(tensors[i].elements, sizeof *values);
        if (!values)
            return error_set(err, ERR_NO_MEMORY, "no memory for tensor %s", tensors[i].name);
        fill_tensor(state, layer, &tensors[i], i, scale, input, values);
        code = safetensors_writer_put(writer, values, tensors[i].elements * sizeof *values, err);
        free(values);
    }
    return code;
}

static int write_layers(struct safetensors_writer *writer, const struct layer *layers, size_t count,
                        uint64_t seed, struct error *err)
{
    struct moments *values = calloc(count + 1, sizeof *values);
    if (!values)
        return error_set(err, ERR_NO_MEMORY, "no memory to write weights");
    values[0] = (struct moments){0, 1};
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < count; i++) {
        double scale = norm_scale(layers, count, &layers[i]);
        code = write_layer(writer, &layers[i], scale, values[layers[i].input], &seed, err);
        values[i + 1] = layer_output(&layers[i], scale, values);
    }
    free(values);
    return code;
}

static int write_weights(const char *path, const struct layer *layers, size_t count, uint64_t seed,
                         struct error *err)
{
    struct safetensors_writer *writer = NULL;
    size_t used = 0;
    struct tensor_info *all = calloc(count * CHECKPOINT_LAYER_TENSORS, sizeof *all);
    if (!all)
        return error_set(err, ERR_NO_MEMORY, "no memory for the list of tensors");
    for (size_t i = 0; i < count; i++)
        used += checkpoint_layer_tensors(&layers[i], all + used);
    int code = safetensors_writer_create(&writer, path, all, used, err);
    free(all);
    if (code != ERR_OK)
        return code;
    code = write_layers(writer, layers, count, seed, err);
    if (code == ERR_OK)
        return safetensors_writer_finish(writer, err);
    safetensors_writer_abort(writer);
    return code;
}

static int write_config(const char *path, const struct template *t, struct error *err)
{
    char name[TEMPLATE_NAME_MAX];
    template_name(t, name);
    const struct config_text text = {
        .architecture = name,
        .variant = t,
        .classes = t->classes,
        .size = t->input_size,
        .crop_pct = t->stem == STEM_CIFAR ? 1 : 0.875,
        .interpolation = INTERPOLATION_BILINEAR,
        .mean = {0.485, 0.456, 0.406},
        .std = {0.229, 0.224, 0.225},
    };
    return model_config_write(path, &text, err);
}

static int check_sizes(const struct template *t, struct error *err)
{
    if (t->input_size < MODEL_EDGE_MIN || t->input_size > MODEL_EDGE_MAX)
        return error_set(err, ERR_MODEL_UNSUPPORTED, "input size %d is not from %d to %d",
                         t->input_size, MODEL_EDGE_MIN, MODEL_EDGE_MAX);
    if (t->classes < 1 || t->classes > MODEL_CLASSES_MAX)
        return error_set(err, ERR_MODEL_UNSUPPORTED, "%d classes are not from 1 to %d", t->classes,
                         MODEL_CLASSES_MAX);
    return ERR_OK;
}

int model_init_folder(const struct template *t, uint64_t seed, const char *out, struct error *err)
{
    char weights[FILE_PATH_MAX], config[FILE_PATH_MAX];
    struct layer *layers = NULL;
    size_t count = 0;
    int code = file_path(weights, out, "model.safetensors", err);
    if (code == ERR_OK)
        code = file_path(config, out, "config.json", err);
    if (code == ERR_OK)
        code = check_sizes(t, err);
    if (code == ERR_OK)
        code = template_layers(t, &layers, &count, err);
    if (code != ERR_OK)
        return code;
    if (mkdir(out, 0777) != 0 && errno != EEXIST)
        code = error_set(err, ERR_IO, "cannot make %s: %s", out, strerror(errno));
    if (code == ERR_OK)
        code = write_config(config, t, err);
    if (code == ERR_OK && (code = write_weights(weights, layers, count, seed, err)) != ERR_OK)
        unlink(config);
    free(layers);
    return code;
}
