#include "model/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/compose.h"
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
                  "tensor %s is missing: neither a ResNet nor a ResNeXt as torchvision, timm or "
                  "transformers name their tensors; one here is %s",
                  name, tensors->count > 0 ? tensors->tensors[0].stored : "none");
        return NULL;
    }
    bool sane = t->rank == rank;
    for (int i = 0; sane && i < rank; i++)
        sane = t->shape[i] >= 1 && t->shape[i] <= TEMPLATE_MAX_CHANNELS;
    if (sane)
        return t;
    error_set(err, ERR_MODEL_UNSUPPORTED,
              "tensor %s has shape %s; %d dimensions of 1 to %d are served", t->stored,
              tensor_shape_text(t, shape), rank, TEMPLATE_MAX_CHANNELS);
    return NULL;
}

/* Whether a name holds `part`, or begins with it if that does not begin with a dot. */
static bool shows(const char *name, const char *part)
{
    return *part == '.' ? strstr(name, part) != NULL : strncmp(name, part, strlen(part)) == 0;
}

static int refuse_group_norm(const struct tensor_table *tensors, struct error *err)
{
    if (!tensor_table_find(tensors, "bn1.weight") ||
        tensor_table_find(tensors, "bn1.running_mean") ||
        tensor_table_find(tensors, "bn1.running_var"))
        return ERR_OK;
    return error_set(
        err, ERR_MODEL_UNSUPPORTED,
        "tensor bn1.running_mean is missing: this is group norm, and only batch norm is "
        "served");
}

/* Networks that compute something else. */
static int refuse_families(const struct tensor_table *tensors, struct error *err)
{
    static const struct {
        const char *part, *family;
    } rows[] = {
        {".conv2.paths.", "selective kernels (SKNet)"},
        {".conv2.fc1.", "split attention (ResNeSt)"},
        {".convs.", "Res2Net"},
        {"stem.conv", "timm's ByobNet (resnext26ts and others)"},
    };
    for (size_t i = 0; i < tensors->count; i++)
        for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++)
            if (shows(tensors->tensors[i].name, rows[k].part))
                return error_set(err, ERR_MODEL_UNSUPPORTED,
                                 "tensor %s is of %s, which is not served",
                                 tensors->tensors[i].stored, rows[k].family);
    return refuse_group_norm(tensors, err);
}

/* The number of filters of a convolution, or 0 and `err` filled. */
static int filters(const struct tensor_table *tensors, const char *name, struct error *err)
{
    const struct tensor_info *conv = find(tensors, name, 4, err);
    return conv ? (int)conv->shape[0] : 0;
}

static int take_deep_stem(const struct tensor_table *tensors, struct template *t, struct error *err)
{
    t->stem = STEM_DEEP;
    t->stem_widths[0] = filters(tensors, "conv1.0.weight", err);
    t->stem_widths[1] = t->stem_widths[0] ? filters(tensors, "conv1.3.weight", err) : 0;
    t->stem_channels = t->stem_widths[1] ? filters(tensors, "conv1.6.weight", err) : 0;
    return t->stem_channels ? ERR_OK : ERR_MODEL_UNSUPPORTED;
}

static int take_single_stem(const struct tensor_table *tensors, struct template *t,
                            struct error *err)
{
    char shape[SAFETENSORS_SHAPE_TEXT];
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

static int take_stem(const struct tensor_table *tensors, struct template *t, struct error *err)
{
    bool deep = tensor_table_find(tensors, "conv1.0.weight") != NULL;
    if (tensor_table_find(tensors, "maxpool.0.weight"))
        t->stem_pool = STEM_POOL_CONV;
    return deep ? take_deep_stem(tensors, t, err) : take_single_stem(tensors, t, err);
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

/* Size `d` of a block's tensor of this rank; `otherwise` if there is none. */
static int size_in(const struct tensor_table *tensors, int stage, int block, const char *rest,
                   int rank, int d, int otherwise)
{
    char name[SAFETENSORS_NAME_MAX];
    const struct tensor_info *t = tensor_table_find(tensors, tensor_name(name, stage, block, rest));
    bool sane = t && t->rank == rank && t->shape[d] >= 1 && t->shape[d] <= TEMPLATE_MAX_CHANNELS;
    return sane ? (int)t->shape[d] : otherwise;
}

static enum attention attention_of(const struct tensor_table *tensors)
{
    if (has(tensors, 0, 0, "se.fc1.weight") || has(tensors, 0, 0, "se.fc2.weight"))
        return ATTENTION_SE;
    if (has(tensors, 0, 0, "se.fc.weight"))
        return ATTENTION_ESE;
    return has(tensors, 0, 0, "se.conv.weight") ? ATTENTION_ECA : ATTENTION_NONE;
}

/* What the first block shows beside its convolutions. */
static void take_variant(const struct tensor_table *tensors, struct template *t, int index)
{
    struct stage *stage = &t->stages[index];
    stage->projection = has(tensors, index, 0, "downsample.0.weight") ||
                        has(tensors, index, 0, "downsample.1.weight");
    if (size_in(tensors, index, 0, "downsample.1.weight", 4, 0, 0))
        t->down = DOWN_AVG;
    stage->down_kernel = size_in(tensors, index, 0, "downsample.0.weight", 4, 2, 1) == 3 ? 3 : 1;
    if (t->attention == ATTENTION_SE)
        stage->attention = size_in(tensors, index, 0, "se.fc1.weight", 4, 0, 1);
    else if (t->attention == ATTENTION_ECA)
        stage->attention = size_in(tensors, index, 0, "se.conv.weight", 3, 2, 1) | 1;
}

/* Counts the blocks; pruned networks have their own widths in each. */
static void take_blocks(const struct tensor_table *tensors, struct stage *stage, int index,
                        int width)
{
    bool bottleneck = stage->block == BLOCK_BOTTLENECK;
    while (stage->blocks < TEMPLATE_MAX_BLOCKS && has_block(tensors, index, stage->blocks)) {
        int block = stage->blocks++;
        int first = size_in(tensors, index, block, "conv1.weight", 4, 0, width);
        int second = size_in(tensors, index, block, "conv2.weight", 4, 0, width);
        stage->widths[block] = (struct block_width){first, bottleneck ? second : first};
    }
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
    int reduced = size_in(tensors, index, 0, "conv1.weight", 4, 0, width);
    *stage = template_stage(bottleneck ? BLOCK_BOTTLENECK : BLOCK_BASIC, 0, 0, (int)last->shape[0],
                            bottleneck ? reduced / per_group : 1, false);
    if (bottleneck && reduced % per_group != 0)
        return error_set(err, ERR_MODEL_UNSUPPORTED,
                         "tensor layer%d.0.conv2.weight: %d channels are no multiple of a group's "
                         "%d",
                         index + 1, reduced, per_group);
    take_variant(tensors, t, index);
    take_blocks(tensors, stage, index, width);
    return ERR_OK;
}

int checkpoint_template(const struct tensor_table *tensors, struct template *t, struct error *err)
{
    *t = (struct template){.input_size = t->input_size, .attention = attention_of(tensors)};
    t->hard_sigmoid = t->attention == ATTENTION_ESE;
    int code = refuse_families(tensors, err);
    if (code == ERR_OK)
        code = take_stem(tensors, t, err);
    if (code != ERR_OK)
        return code;
    do {
        code = take_stage(tensors, t, t->stage_count++, err);
        if (code != ERR_OK)
            return code;
    } while (t->stage_count < TEMPLATE_MAX_STAGES && has_block(tensors, t->stage_count, 0));
    const struct tensor_info *head = find(tensors, "fc.weight", 2, err);
    if (!head)
        return ERR_MODEL_UNSUPPORTED;
    t->classes = (int)head->shape[0];
    if (tensors->naming == NAMING_LEGACY_SENET)
        template_make_legacy(t);
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

/* timm's layers are convolutions: 1x1 on a 1x1 map, or over channels (ECA), without bias. */
static size_t excite_tensors(const struct layer *layer, struct tensor_info *out)
{
    const struct excitation *e = &layer->excitation;
    const size_t dense[] = {(size_t)layer->shape.out_c, (size_t)e->channels, 1, 1};
    const size_t band[] = {1, 1, (size_t)e->kernel};
    expect(&out[0], layer->name, "weight", e->kernel ? 3 : 4, e->kernel ? band : dense);
    if (e->kernel)
        return 1;
    expect(&out[1], layer->name, "bias", 1, dense);
    return 2;
}

bool checkpoint_is_identity(const struct layer *layer)
{
    return layer->kind == LAYER_CONV && !*layer->norm;
}

size_t checkpoint_layer_tensors(const struct layer *layer,
                                struct tensor_info out[CHECKPOINT_LAYER_TENSORS])
{
    static const char *const norm[] = {"weight", "bias", "running_mean", "running_var"};
    const struct conv_shape *s = &layer->shape;
    const size_t shape[] = {(size_t)s->out_c, (size_t)(s->in_c / s->groups), (size_t)s->kernel,
                            (size_t)s->kernel};
    if (layer->kind == LAYER_EXCITE)
        return excite_tensors(layer, out);
    if (!layer_has_weights(layer) || checkpoint_is_identity(layer))
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
                         found->stored, tensor_type_name(found->type));
    if (found->rank != expected->rank ||
        memcmp(found->shape, expected->shape, (size_t)found->rank * sizeof found->shape[0]) != 0)
        return error_set(err, ERR_MODEL_INVALID, "tensor %s has shape %s, not %s", found->stored,
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

static int refuse_tensor(const struct tensor_info *tensor, struct error *err)
{
    if (strstr(tensor->name, ".se."))
        return error_set(err, ERR_MODEL_UNSUPPORTED,
                         "tensor %s shows an attention that is not served; SE, ESE and ECA are, in "
                         "every block or in none",
                         tensor->stored);
    return error_set(err, ERR_MODEL_UNSUPPORTED,
                     "tensor %s is not part of a ResNet or ResNeXt of a variant that is served",
                     tensor->stored);
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
            code = refuse_tensor(&tensors->tensors[i], err);
    free(accounted);
    return code;
}

static int fold(const struct layer *layer, size_t each, float *weights, float *bias,
                const float *norm, struct error *err)
{
    size_t channels = (size_t)layer->shape.out_c;
    const struct batch_norm bn = {norm, norm + channels, norm + 2 * channels, norm + 3 * channels};
    int code = fold_batch_norm(&bn, channels, each, weights, bias, err);
    return error_prefix(err, code, "batch norm %s", layer->norm);
}

static void make_identity(size_t channels, float *weights, float *bias)
{
    memset(weights, 0, channels * channels * sizeof *weights);
    memset(bias, 0, channels * sizeof *bias);
    for (size_t i = 0; i < channels; i++)
        weights[i * channels + i] = 1;
}

int checkpoint_read(const struct safetensors *file, const struct layer *layer, float *weights,
                    float *bias, float *norm, struct error *err)
{
    struct tensor_info tensors[CHECKPOINT_LAYER_TENSORS];
    size_t count = checkpoint_layer_tensors(layer, tensors), channels = (size_t)layer->shape.out_c;
    bool folds = layer->kind == LAYER_CONV;
    if (checkpoint_is_identity(layer)) {
        make_identity(channels, weights, bias);
        return ERR_OK;
    }
    for (size_t i = 0; i < count; i++) {
        const struct tensor_info *t = tensor_table_find(safetensors_tensors(file), tensors[i].name);
        float *to = i == 0 ? weights : folds ? norm + (i - 1) * channels : bias;
        int code = safetensors_read(file, t, to, err);
        if (code != ERR_OK)
            return code;
    }
    return folds ? fold(layer, tensors[0].elements / channels, weights, bias, norm, err) : ERR_OK;
}

int checkpoint_read_excite(const struct safetensors *file, const struct layer *layer,
                           const struct layer *conv, const float *conv_weights,
                           const float *conv_bias, float *own, float *weights, float *bias,
                           struct error *err)
{
    const struct excitation *e = &layer->excitation;
    const struct affine z = {conv_weights, conv_bias, conv->shape.out_c, conv->shape.in_c,
                             conv->shape.kernel * conv->shape.kernel};
    int code = checkpoint_read(file, layer, own, bias, NULL, err);
    if (code != ERR_OK)
        return code;
    code = e->kernel ? compose_band(&z, own, e->kernel, weights, bias, err)
                     : compose_dense(&z, own, layer->shape.out_c, weights, bias, err);
    return error_prefix(err, code, "layer %s", layer->name);
}
