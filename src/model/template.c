#include "model/template.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { COMMON_STAGES = 4, LAYERS_PER_BLOCK = 4, LAYERS_BESIDE = 4 };

/* Names of the field. Width and output of the first stage; both double from stage to stage. */
static const struct common {
    const char *name;
    enum stem_kind stem;
    enum block_kind block;
    int blocks[COMMON_STAGES]; /* 0: the stage is not there */
    int stem_channels, cardinality, width, out, classes, input_size;
} commons[] = {
    {"resnext50_32x4d", STEM_IMAGENET, BLOCK_BOTTLENECK, {3, 4, 6, 3}, 64, 32, 128, 256, 1000, 224},
    {"resnext101_32x4d",
     STEM_IMAGENET,
     BLOCK_BOTTLENECK,
     {3, 4, 23, 3},
     64,
     32,
     128,
     256,
     1000,
     224},
    {"resnext101_32x8d",
     STEM_IMAGENET,
     BLOCK_BOTTLENECK,
     {3, 4, 23, 3},
     64,
     32,
     256,
     256,
     1000,
     224},
    {"resnext101_32x16d",
     STEM_IMAGENET,
     BLOCK_BOTTLENECK,
     {3, 4, 23, 3},
     64,
     32,
     512,
     256,
     1000,
     224},
    {"resnext101_32x32d",
     STEM_IMAGENET,
     BLOCK_BOTTLENECK,
     {3, 4, 23, 3},
     64,
     32,
     1024,
     256,
     1000,
     224},
    {"resnext101_64x4d",
     STEM_IMAGENET,
     BLOCK_BOTTLENECK,
     {3, 4, 23, 3},
     64,
     64,
     256,
     256,
     1000,
     224},
    {"resnext29_8x4d", STEM_CIFAR, BLOCK_BOTTLENECK, {3, 3, 3, 0}, 32, 8, 32, 128, 10, 32},
    {"resnext29_8x64d", STEM_CIFAR, BLOCK_BOTTLENECK, {3, 3, 3, 0}, 64, 8, 512, 256, 10, 32},
    {"resnext29_16x64d", STEM_CIFAR, BLOCK_BOTTLENECK, {3, 3, 3, 0}, 64, 16, 1024, 256, 10, 32},
    {"resnet18", STEM_IMAGENET, BLOCK_BASIC, {2, 2, 2, 2}, 64, 1, 64, 64, 1000, 224},
    {"resnet34", STEM_IMAGENET, BLOCK_BASIC, {3, 4, 6, 3}, 64, 1, 64, 64, 1000, 224},
    {"resnet50", STEM_IMAGENET, BLOCK_BOTTLENECK, {3, 4, 6, 3}, 64, 1, 64, 256, 1000, 224},
    {"resnet101", STEM_IMAGENET, BLOCK_BOTTLENECK, {3, 4, 23, 3}, 64, 1, 64, 256, 1000, 224},
    {"resnet152", STEM_IMAGENET, BLOCK_BOTTLENECK, {3, 8, 36, 3}, 64, 1, 64, 256, 1000, 224},
    {"wide_resnet50_2", STEM_IMAGENET, BLOCK_BOTTLENECK, {3, 4, 6, 3}, 64, 1, 128, 256, 1000, 224},
    {"wide_resnet101_2",
     STEM_IMAGENET,
     BLOCK_BOTTLENECK,
     {3, 4, 23, 3},
     64,
     1,
     128,
     256,
     1000,
     224},
};
enum { COMMON_COUNT = sizeof commons / sizeof commons[0] };

static void expand(const struct common *common, struct template *t)
{
    *t = (struct template){
        .stem = common->stem,
        .stem_channels = common->stem_channels,
        .block = common->block,
        .classes = common->classes,
        .input_size = common->input_size,
    };
    int in = common->stem_channels;
    for (int i = 0; i < COMMON_STAGES && common->blocks[i] > 0; i++) {
        struct stage *stage = &t->stages[t->stage_count++];
        *stage = (struct stage){
            .blocks = common->blocks[i],
            .width = common->width << i,
            .out = common->out << i,
            .cardinality = common->cardinality,
            .projection = i > 0 || in != common->out,
        };
    }
}

static int unknown_name(const char *name, struct error *err)
{
    char known[400] = "";
    size_t used = 0;
    for (size_t i = 0; i < COMMON_COUNT && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                 commons[i].name);
    return error_set(err, ERR_MODEL_UNSUPPORTED, "unknown template %.40s; known are %s", name,
                     known);
}

int template_from_name(const char *name, struct template *out, struct error *err)
{
    for (size_t i = 0; i < COMMON_COUNT; i++) {
        if (strcmp(name, commons[i].name) == 0) {
            expand(&commons[i], out);
            return ERR_OK;
        }
    }
    return unknown_name(name, err);
}

static bool same_stage(const struct stage *a, const struct stage *b)
{
    return a->blocks == b->blocks && a->width == b->width && a->out == b->out &&
           a->cardinality == b->cardinality && a->projection == b->projection;
}

/* The same network but for the number of classes and the size of its input. */
static bool same_network(const struct template *a, const struct template *b)
{
    bool same = a->stem == b->stem && a->stem_channels == b->stem_channels &&
                a->block == b->block && a->stage_count == b->stage_count;
    for (int i = 0; same && i < a->stage_count; i++)
        same = same_stage(&a->stages[i], &b->stages[i]);
    return same;
}

/* Layers with weights on the longest way through: what the number in a name counts. */
static int depth_of(const struct template *t)
{
    int blocks = 0;
    for (int i = 0; i < t->stage_count; i++)
        blocks += t->stages[i].blocks;
    return blocks * (t->block == BLOCK_BOTTLENECK ? 3 : 2) + 2;
}

static void describe(const struct template *t, char name[TEMPLATE_NAME_MAX])
{
    const struct stage *first = &t->stages[0];
    int depth = depth_of(t), width = first->width / first->cardinality;
    int usual = t->block == BLOCK_BOTTLENECK ? first->out / 4 : first->out;
    if (first->cardinality > 1)
        snprintf(name, TEMPLATE_NAME_MAX, "resnext%d_%dx%dd", depth, first->cardinality, width);
    else if (width == usual)
        snprintf(name, TEMPLATE_NAME_MAX, "resnet%d", depth);
    else if (usual > 0 && width % usual == 0)
        snprintf(name, TEMPLATE_NAME_MAX, "wide_resnet%d_%d", depth, width / usual);
    else
        snprintf(name, TEMPLATE_NAME_MAX, "resnet%d.w%d", depth, width);
}

void template_name(const struct template *t, char name[TEMPLATE_NAME_MAX])
{
    struct template common;
    bool taken = false;
    describe(t, name);
    for (size_t i = 0; i < COMMON_COUNT; i++) {
        expand(&commons[i], &common);
        if (same_network(t, &common)) {
            snprintf(name, TEMPLATE_NAME_MAX, "%s", commons[i].name);
            return;
        }
        taken = taken || strcmp(name, commons[i].name) == 0;
    }
    if (taken)
        strncat(name, ".variant", TEMPLATE_NAME_MAX - strlen(name) - 1);
}

/* A list of layers under construction, and where its output stands. */
struct builder {
    struct layer *layers;
    size_t count;
    int size, channels; /* of the newest value */
    int stage, block;   /* that names are made from */
    size_t misfit;      /* number of the first layer that cannot be served, from 1; 0 if none */
};

/* Unless there is one already, the newest layer becomes the misfit. */
static void mark_misfit(struct builder *b)
{
    if (b->misfit == 0)
        b->misfit = b->count;
}

static int newest(const struct builder *b)
{
    return (int)b->count;
}

static bool fits_int(int a, int b, int c)
{
    int product;
    return !__builtin_mul_overflow(a, b, &product) && !__builtin_mul_overflow(product, c, &product);
}

/* Maps and weights stay below 2^31 elements, so that kernels may count in int. */
static bool is_servable(const struct layer *layer)
{
    const struct conv_shape *s = &layer->shape;
    bool positive = s->in_h > 0 && s->in_c > 0 && s->out_h > 0 && s->out_c > 0 && s->groups > 0;
    if (!positive || !fits_int(s->in_h, s->in_w, s->in_c) ||
        !fits_int(s->out_h, s->out_w, s->out_c))
        return false;
    if (layer->kind == LAYER_MAX_POOL || layer->kind == LAYER_AVG_POOL)
        return true;
    return s->in_c % s->groups == 0 && s->out_c % s->groups == 0 &&
           fits_int(s->kernel * s->kernel, s->in_c / s->groups, s->out_c);
}

/* Adds a layer that reads value `input` (size x size x channels). */
static struct layer *add(struct builder *b, enum layer_kind kind, int input, int size, int channels,
                         struct conv_shape shape)
{
    struct layer *layer = &b->layers[b->count++];
    int reach = size + 2 * shape.pad - shape.kernel;
    shape.in_h = shape.in_w = size;
    shape.in_c = channels;
    shape.out_h = shape.out_w = reach < 0 ? 0 : reach / shape.stride + 1;
    *layer =
        (struct layer){.kind = kind, .shape = shape, .input = input, .residual = LAYER_NO_VALUE};
    if (!is_servable(layer))
        mark_misfit(b);
    b->size = shape.out_h;
    b->channels = shape.out_c;
    return layer;
}

static void name_in_block(const struct builder *b, struct layer *layer, const char *conv,
                          const char *norm)
{
    snprintf(layer->name, sizeof layer->name, "layer%d.%d.%s", b->stage + 1, b->block, conv);
    snprintf(layer->norm, sizeof layer->norm, "layer%d.%d.%s", b->stage + 1, b->block, norm);
}

/* A 1x1 or 3x3 convolution of a block, number `n`, on the newest value. */
static struct layer *add_block_conv(struct builder *b, int n, int kernel, int stride, int groups,
                                    int out)
{
    char conv[16], norm[16];
    snprintf(conv, sizeof conv, "conv%d", n);
    snprintf(norm, sizeof norm, "bn%d", n);
    struct layer *layer = add(
        b, LAYER_CONV, newest(b), b->size, b->channels,
        (struct conv_shape){
            .kernel = kernel, .stride = stride, .pad = kernel / 2, .groups = groups, .out_c = out});
    name_in_block(b, layer, conv, norm);
    layer->relu = true;
    return layer;
}

/* Adds one block (figure 3c). The shortcut's projection runs just before the last convolution,
 * which adds the shortcut. */
static void add_block(struct builder *b, const struct template *t, int stride)
{
    const struct stage *stage = &t->stages[b->stage];
    int input = newest(b), in_size = b->size, in_channels = b->channels;
    int shortcut = input, last = 2;
    if (t->block == BLOCK_BOTTLENECK) {
        add_block_conv(b, 1, 1, 1, 1, stage->width);
        add_block_conv(b, 2, 3, stride, stage->cardinality, stage->width);
        last = 3;
    } else {
        add_block_conv(b, 1, 3, stride, stage->cardinality, stage->width);
    }
    int before = newest(b), size = b->size, channels = b->channels;
    if (stage->projection && b->block == 0) {
        struct layer *layer = add(
            b, LAYER_CONV, input, in_size, in_channels,
            (struct conv_shape){.kernel = 1, .stride = stride, .groups = 1, .out_c = stage->out});
        name_in_block(b, layer, "downsample.0", "downsample.1");
        shortcut = newest(b);
    }
    b->size = size;
    b->channels = channels;
    int kernel = t->block == BLOCK_BOTTLENECK ? 1 : 3;
    struct layer *layer = add_block_conv(b, last, kernel, 1, 1, stage->out);
    layer->input = before;
    layer->residual = shortcut;
    if (shortcut == input && (stride != 1 || in_channels != stage->out))
        mark_misfit(b);
}

static void add_stem(struct builder *b, const struct template *t)
{
    bool imagenet = t->stem == STEM_IMAGENET;
    struct layer *layer = add(b, LAYER_CONV, 0, t->input_size, 3,
                              (struct conv_shape){.kernel = imagenet ? 7 : 3,
                                                  .stride = imagenet ? 2 : 1,
                                                  .pad = imagenet ? 3 : 1,
                                                  .groups = 1,
                                                  .out_c = t->stem_channels});
    strcpy(layer->name, "conv1");
    strcpy(layer->norm, "bn1");
    layer->relu = true;
    if (imagenet)
        add(b, LAYER_MAX_POOL, newest(b), b->size, b->channels,
            (struct conv_shape){
                .kernel = 3, .stride = 2, .pad = 1, .groups = 1, .out_c = b->channels});
}

static void add_head(struct builder *b, const struct template *t)
{
    add(b, LAYER_AVG_POOL, newest(b), b->size, b->channels,
        (struct conv_shape){.kernel = b->size, .stride = 1, .groups = 1, .out_c = b->channels});
    struct layer *layer =
        add(b, LAYER_LINEAR, newest(b), 1, b->channels,
            (struct conv_shape){.kernel = 1, .stride = 1, .groups = 1, .out_c = t->classes});
    strcpy(layer->name, "fc");
}

static size_t most_layers(const struct template *t)
{
    size_t blocks = 0;
    for (int i = 0; i < t->stage_count; i++)
        blocks += (size_t)t->stages[i].blocks;
    return blocks * LAYERS_PER_BLOCK + LAYERS_BESIDE;
}

int template_layers(const struct template *t, struct layer **layers, size_t *count,
                    struct error *err)
{
    CHECK(t->stage_count >= 1 && t->stage_count <= TEMPLATE_MAX_STAGES);
    struct builder b = {.layers = calloc(most_layers(t), sizeof *b.layers)};
    if (!b.layers)
        return error_set(err, ERR_NO_MEMORY, "no memory for the list of layers");
    add_stem(&b, t);
    for (b.stage = 0; b.stage < t->stage_count && !b.misfit; b.stage++)
        for (b.block = 0; b.block < t->stages[b.stage].blocks && !b.misfit; b.block++)
            add_block(&b, t, b.stage > 0 && b.block == 0 ? 2 : 1);
    if (!b.misfit)
        add_head(&b, t);
    if (b.misfit) {
        error_set(err, ERR_MODEL_UNSUPPORTED,
                  "layer %s cannot be served at input size %d: channels, groups or map do not fit",
                  b.layers[b.misfit - 1].name, t->input_size);
        free(b.layers);
        return ERR_MODEL_UNSUPPORTED;
    }
    *layers = b.layers;
    *count = b.count;
    return ERR_OK;
}
