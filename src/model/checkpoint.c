#include "model/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/fold.h"

/* The tensor of this name with `rank` dimensions of 1..TEMPLATE_MAX_CHANNELS, or NULL and `err`
 * filled. */
static const struct tensor_info *find(const struct tensor_table *tensors, const char *name,
                                      int rank, struct error *err)
{
    char shape[SAFETENSORS_SHAPE_TEXT];
    const struct tensor_info *t = tensor_table_find(tensors, name);
    if (!t) {
        error_set(err, ERR_MODEL_UNSUPPORTED,
                  "tensor %s is missing: neither a ResNet nor a ResNeXt as torchvision names them",
                  name);
        return NULL;
    }
    bool sane = t->rank == rank;
    for (int i = 0; sane && i < rank; i++)
        sane = t->shape[i] >= 1 && t->shape[i] <= TEMPLATE_MAX_CHANNELS;
    if (sane)
        return t;
    error_set(err, ERR_MODEL_UNSUPPORTED,
              "tensor %s has shape %s; %d dimensions of 1 to %d are served", name,
              tensor_shape_text(t, shape), rank, TEMPLATE_MAX_CHANNELS);
    return NULL;
}

static int take_stem(const struct tensor_table *tensors, struct template *t, struct error *err)
{
    char shape[SAFETENSORS_SHAPE_TEXT];
    if (tensor_table_find(tensors, "conv1.0.weight"))
        return error_set(err, ERR_MODEL_UNSUPPORTED,
                         "tensor conv1.0.weight belongs to a deep stem, which is not served");
    const struct tensor_info *conv = find(tensors, "conv1.weight", 4, err);
    if (!conv)
        return ERR_MODEL_UNSUPPORTED;
    if (conv->shape[2] != 7 && conv->shape[2] != 3)
        return error_set(err, ERR_MODEL_UNSUPPORTED,
                         "tensor conv1.weight has shape %s; stems of 7 x 7 and 3 x 3 are served",
                         tensor_shape_text(conv, shape));
    t->stem = conv->shape[2] == 7 ? STEM_IMAGENET : STEM_CIFAR;
    t->stem_channels = (int)conv->shape[0];
    return ERR_OK;
}

static const char *tensor_name(char name[SAFETENSORS_NAME_MAX], int stage, int block,
                               const char *rest)
{
    snprintf(name, SAFETENSORS_NAME_MAX, "layer%d.%d.%s", stage + 1, block, rest);
    return name;
}

static bool has(const struct tensor_table *tensors, int stage, int block, const char *rest)
{
    char name[SAFETENSORS_NAME_MAX];
    return tensor_table_find(tensors, tensor_name(name, stage, block, rest)) != NULL;
}

/* One of them is enough, so that a message can name the missing one. */
static bool has_block(const struct tensor_table *tensors, int stage, int block)
{
    return has(tensors, stage, block, "conv1.weight") || has(tensors, stage, block, "conv2.weight");
}

/* A convolution of the stage's first block, or NULL and `err` filled. */
static const struct tensor_info *find_conv(const struct tensor_table *tensors, int stage,
                                           const char *rest, struct error *err)
{
    char name[SAFETENSORS_NAME_MAX];
    return find(tensors, tensor_name(name, stage, 0, rest), 4, err);
}

static int take_stage(const struct tensor_table *tensors, struct template *t, int index,
                      struct error *err)
{
    struct stage *stage = &t->stages[index];
    bool bottleneck = has(tensors, index, 0, "conv3.weight");
    const struct tensor_info *wide =
        find_conv(tensors, index, bottleneck ? "conv2.weight" : "conv1.weight", err);
    const struct tensor_info *last =
        wide ? find_conv(tensors, index, bottleneck ? "conv3.weight" : "conv2.weight", err) : NULL;
    if (!last)
        return ERR_MODEL_UNSUPPORTED;
    int per_group = (int)wide->shape[1], width = (int)wide->shape[0];
    *stage = template_stage(bottleneck ? BLOCK_BOTTLENECK : BLOCK_BASIC, 0, 0, (int)last->shape[0],
                            1, false);
    if (bottleneck && width % per_group != 0)
        return error_set(
            err, ERR_MODEL_UNSUPPORTED,
            "tensor layer%d.0.conv2.weight: %d channels are no multiple of a group's %d", index + 1,
            width, per_group);
    if (bottleneck)
        stage->cardinality = width / per_group;
    stage->projection = has(tensors, index, 0, "downsample.0.weight") ||
                        has(tensors, index, 0, "downsample.1.weight");
    while (stage->blocks < TEMPLATE_MAX_BLOCKS && has_block(tensors, index, stage->blocks))
        stage->widths[stage->blocks++] = (struct block_width){width, width};
    return ERR_OK;
}

int checkpoint_template(const struct tensor_table *tensors, struct template *t, struct error *err)
{
    int code = take_stem(tensors, t, err);
    if (code != ERR_OK)
        return code;
    t->stage_count = 0;
    do {
        code = take_stage(tensors, t, t->stage_count++, err);
        if (code != ERR_OK)
            return code;
    } while (t->stage_count < TEMPLATE_MAX_STAGES && has_block(tensors, t->stage_count, 0));
    const struct tensor_info *head = find(tensors, "fc.weight", 2, err);
    if (!head)
        return ERR_MODEL_UNSUPPORTED;
    t->classes = (int)head->shape[0];
    return ERR_OK;
}

static void expect(struct tensor_info *out, const char *prefix, const char *suffix, int rank,
                   const size_t *shape)
{
    *out = (struct tensor_info){.type = TENSOR_F32, .rank = rank, .elements = 1};
    snprintf(out->name, sizeof out->name, "%s.%s", prefix, suffix);
    for (int i = 0; i < rank; i++) {
        out->shape[i] = shape[i];
        out->elements *= shape[i];
    }
}

size_t checkpoint_layer_tensors(const struct layer *layer,
                                struct tensor_info out[CHECKPOINT_LAYER_TENSORS])
{
    static const char *const norm[] = {"weight", "bias", "running_mean", "running_var"};
    const struct conv_shape *s = &layer->shape;
    const size_t shape[] = {(size_t)s->out_c, (size_t)(s->in_c / s->groups), (size_t)s->kernel,
                            (size_t)s->kernel};
    if (!layer_has_weights(layer))
        return 0;
    expect(&out[0], layer->name, "weight", layer->kind == LAYER_CONV ? 4 : 2, shape);
    if (layer->kind == LAYER_LINEAR) {
        expect(&out[1], layer->name, "bias", 1, shape);
        return 2;
    }
    for (size_t i = 0; i < sizeof norm / sizeof norm[0]; i++)
        expect(&out[1 + i], layer->norm, norm[i], 1, shape);
    return CHECKPOINT_LAYER_TENSORS;
}

static int check_tensor(const struct tensor_info *found, const struct tensor_info *expected,
                        struct error *err)
{
    char is[SAFETENSORS_SHAPE_TEXT], should[SAFETENSORS_SHAPE_TEXT];
    if (!found)
        return error_set(err, ERR_MODEL_INVALID, "tensor %s is missing", expected->name);
    if (found->type >= TENSOR_READABLE)
        return error_set(err, ERR_MODEL_INVALID, "tensor %s has type %s, not F32, F16 or BF16",
                         found->name, tensor_type_name(found->type));
    if (found->rank != expected->rank ||
        memcmp(found->shape, expected->shape, (size_t)found->rank * sizeof found->shape[0]) != 0)
        return error_set(err, ERR_MODEL_INVALID, "tensor %s has shape %s, not %s", found->name,
                         tensor_shape_text(found, is), tensor_shape_text(expected, should));
    return ERR_OK;
}

/* Accepts PyTorch's counter beside a batch norm, which is not read. */
static void account_counter(const struct tensor_table *tensors, const struct layer *layer,
                            bool *accounted)
{
    char name[SAFETENSORS_NAME_MAX];
    snprintf(name, sizeof name, "%s.num_batches_tracked", layer->norm);
    const struct tensor_info *found = tensor_table_find(tensors, name);
    if (found)
        accounted[found - tensors->tensors] = true;
}

static int check_layer(const struct tensor_table *tensors, const struct layer *layer,
                       bool *accounted, struct error *err)
{
    struct tensor_info expected[CHECKPOINT_LAYER_TENSORS];
    size_t count = checkpoint_layer_tensors(layer, expected);
    for (size_t i = 0; i < count; i++) {
        const struct tensor_info *found = tensor_table_find(tensors, expected[i].name);
        int code = check_tensor(found, &expected[i], err);
        if (code != ERR_OK)
            return code;
        accounted[found - tensors->tensors] = true;
    }
    account_counter(tensors, layer, accounted);
    return ERR_OK;
}

int checkpoint_check(const struct tensor_table *tensors, const struct layer *layers, size_t count,
                     struct error *err)
{
    bool *accounted = calloc(tensors->count + 1, sizeof *accounted);
    if (!accounted)
        return error_set(err, ERR_NO_MEMORY, "no memory to check the tensors");
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < count; i++)
        code = check_layer(tensors, &layers[i], accounted, err);
    for (size_t i = 0; code == ERR_OK && i < tensors->count; i++)
        if (!accounted[i])
            code = error_set(err, ERR_MODEL_UNSUPPORTED,
                             "tensor %s is not part of a plain ResNet or ResNeXt",
                             tensors->tensors[i].name);
    free(accounted);
    return code;
}

int checkpoint_read(const struct safetensors *file, const struct layer *layer, float *weights,
                    float *bias, float *norm, struct error *err)
{
    struct tensor_info tensors[CHECKPOINT_LAYER_TENSORS];
    size_t count = checkpoint_layer_tensors(layer, tensors), channels = (size_t)layer->shape.out_c;
    for (size_t i = 0; i < count; i++) {
        const struct tensor_info *t = tensor_table_find(safetensors_tensors(file), tensors[i].name);
        float *to = i == 0                        ? weights
                    : layer->kind == LAYER_LINEAR ? bias
                                                  : norm + (i - 1) * channels;
        int code = safetensors_read(file, t, to, err);
        if (code != ERR_OK)
            return code;
    }
    if (layer->kind == LAYER_LINEAR)
        return ERR_OK;
    const struct batch_norm bn = {norm, norm + channels, norm + 2 * channels, norm + 3 * channels};
    int code = fold_batch_norm(&bn, channels, tensors[0].elements / channels, weights, bias, err);
    return error_prefix(err, code, "batch norm %s", layer->norm);
}
