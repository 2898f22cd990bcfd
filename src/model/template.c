#include "model/template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

enum { LAYERS_PER_BLOCK = 4, LAYERS_BESIDE = 4 };

struct stage template_stage(enum block_kind block, int blocks, int width, int out, int cardinality,
                            bool projection)
{
    struct stage stage = {
        .block = block,
        .blocks = blocks,
        .out = out,
        .cardinality = cardinality,
        .projection = projection,
        .down_kernel = 1,
    };
    for (int i = 0; i < blocks; i++)
        stage.widths[i] = (struct block_width){width, width};
    return stage;
}

/* The two rules of section 3.1, which leave few free choices. Rule 1: blocks that make
 * maps of the same size share their width and the sizes of their filters, so one struct stage
 * stands for all of them. Rule 2: each time the map is halved, the width is doubled. */
int template_by_rules(const struct design *d, struct template *t, struct error *err)
{
    int64_t width = (int64_t)d->cardinality * d->path_width, out = d->out;
    *t = (struct template){
        .stem = d->stem,
        .stem_channels = d->stem_channels,
        .stage_count = d->stage_count,
        .classes = d->classes,
        .input_size = d->input_size,
    };
    for (int i = 0; i < d->stage_count; i++, width *= 2, out *= 2) {
        if (width > TEMPLATE_MAX_CHANNELS || out > TEMPLATE_MAX_CHANNELS)
            return error_set(err, ERR_MODEL_UNSUPPORTED,
                             "stage %d would have more than %d channels; make C, d or out smaller",
                             i + 1, TEMPLATE_MAX_CHANNELS);
        t->stages[i] = template_stage(d->block, d->blocks[i], (int)width, (int)out, d->cardinality,
                                      i > 0 || d->stem_channels != d->out);
    }
    return ERR_OK;
}

/* A list of layers under construction, and where its output stands. */
struct builder {
    struct layer *layers;
    size_t count;
    int size, channels; /* of the newest value */
    int stage, block;   /* that names are made from */
    size_t unsupported; /* number of the first layer that cannot be served, from 1; 0 if none */
};

/* Unless there is one already, the newest layer is marked as the one that cannot be served. */
static void mark_unsupported(struct builder *b)
{
    if (b->unsupported == 0)
        b->unsupported = b->count;
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
    if (layer->kind == LAYER_MAX_POOL || layer->kind == LAYER_GLOBAL_POOL)
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
        mark_unsupported(b);
    b->size = shape.out_h;
    b->channels = shape.out_c;
    return layer;
}

/* Names a convolution of the block under construction and its batch norm: a word and a number. */
static void name_in_block(const struct builder *b, struct layer *layer, const char *conv, int n,
                          const char *norm, int m)
{
    int stage = b->stage + 1;
    snprintf(layer->name, sizeof layer->name, "layer%d.%d.%s%d", stage, b->block, conv, n);
    snprintf(layer->norm, sizeof layer->norm, "layer%d.%d.%s%d", stage, b->block, norm, m);
}

/* A 1x1 or 3x3 convolution of a block, number `n`, on the newest value. */
static struct layer *add_block_conv(struct builder *b, int n, int kernel, int stride, int groups,
                                    int out)
{
    struct layer *layer = add(
        b, LAYER_CONV, newest(b), b->size, b->channels,
        (struct conv_shape){
            .kernel = kernel, .stride = stride, .pad = kernel / 2, .groups = groups, .out_c = out});
    name_in_block(b, layer, "conv", n, "bn", n);
    layer->relu = true;
    return layer;
}

/* Adds one block (figure 3c). The shortcut's projection runs just before the last convolution,
 * which adds the shortcut. */
static void add_block(struct builder *b, const struct template *t, int stride)
{
    const struct stage *stage = &t->stages[b->stage];
    int input = newest(b), in_size = b->size, in_channels = b->channels;
    const struct block_width *width = &stage->widths[b->block];
    int shortcut = input, last = 2;
    if (stage->block == BLOCK_BOTTLENECK) {
        add_block_conv(b, 1, 1, 1, 1, width->reduced);
        add_block_conv(b, 2, 3, stride, stage->cardinality, width->width);
        last = 3;
    } else {
        add_block_conv(b, 1, 3, stride, stage->cardinality, width->width);
    }
    int before = newest(b), size = b->size, channels = b->channels;
    if (stage->projection && b->block == 0) {
        struct layer *layer = add(
            b, LAYER_CONV, input, in_size, in_channels,
            (struct conv_shape){.kernel = 1, .stride = stride, .groups = 1, .out_c = stage->out});
        name_in_block(b, layer, "downsample.", 0, "downsample.", 1);
        shortcut = newest(b);
    }
    b->size = size;
    b->channels = channels;
    int kernel = stage->block == BLOCK_BOTTLENECK ? 1 : 3;
    struct layer *layer = add_block_conv(b, last, kernel, 1, 1, stage->out);
    layer->input = before;
    layer->residual = shortcut;
    if (shortcut == input && (stride != 1 || in_channels != stage->out))
        mark_unsupported(b);
}

/* Unrolls the rules' stages: every block of a stage is the same (rule 1), and the first of every
 * stage but the first halves the map (rule 2). */
static void add_stages(struct builder *b, const struct template *t)
{
    for (b->stage = 0; b->stage < t->stage_count && !b->unsupported; b->stage++)
        for (b->block = 0; b->block < t->stages[b->stage].blocks && !b->unsupported; b->block++)
            add_block(b, t, b->stage > 0 && b->block == 0 ? 2 : 1);
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
    add(b, LAYER_GLOBAL_POOL, newest(b), b->size, b->channels,
        (struct conv_shape){.kernel = b->size, .stride = 1, .groups = 1, .out_c = b->channels});
    struct layer *layer =
        add(b, LAYER_LINEAR, newest(b), 1, b->channels,
            (struct conv_shape){.kernel = 1, .stride = 1, .groups = 1, .out_c = t->classes});
    strcpy(layer->name, "fc");
}

static size_t max_layers(const struct template *t)
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
    struct builder b = {.layers = calloc(max_layers(t), sizeof *b.layers)};
    if (!b.layers)
        return error_set(err, ERR_NO_MEMORY, "no memory for the list of layers");
    add_stem(&b, t);
    add_stages(&b, t);
    if (!b.unsupported)
        add_head(&b, t);
    if (b.unsupported) {
        error_set(err, ERR_MODEL_UNSUPPORTED,
                  "layer %s cannot be served at input size %d: channels, groups or map do not fit",
                  layer_label(&b.layers[b.unsupported - 1]), t->input_size);
        free(b.layers);
        return ERR_MODEL_UNSUPPORTED;
    }
    *layers = b.layers;
    *count = b.count;
    return ERR_OK;
}
