#include "model/template.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* At most: two convolutions, a filter, attention's three, the shortcut's two, a convolution, and a
 * gate of its own; three convolutions and two pools of the stem, two layers of the head. */
enum { LAYERS_PER_BLOCK = 10, LAYERS_BESIDE = 7 };

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

/* As timm rounds: to the nearest multiple of 8, at least 8. */
static int reduced_channels(const struct design *d, int64_t out)
{
    int64_t rounded = (2 * out + 8 * (int64_t)d->reduction) / (16 * (int64_t)d->reduction) * 8;
    int64_t exact = out / d->reduction;
    if (d->legacy)
        return exact > 1 ? (int)exact : 1;
    return rounded > 8 ? (int)rounded : 8;
}

/* ECA-Net, section 3.2.3: the odd number next to (log2(channels) + 1) / 2. */
static int eca_kernel(int64_t channels)
{
    int kernel = (int)((log2((double)channels) + 1) / 2) | 1;
    return kernel > 3 ? kernel : 3;
}

static int attention_size(const struct design *d, int64_t out)
{
    if (d->attention == ATTENTION_ECA)
        return eca_kernel(out);
    return d->attention == ATTENTION_SE ? reduced_channels(d, out) : 0;
}

void template_make_legacy(struct template *t)
{
    const struct stage *first = &t->stages[0];
    t->stem_pool = STEM_POOL_CEIL;
    t->stride_first = first->block == BLOCK_BOTTLENECK && first->cardinality == 1;
    t->relu_first = true;
}

/* The variant of a design, without its stages. */
static struct template variant_by_rules(const struct design *d)
{
    bool deep = d->stem == STEM_FORM_DEEP || d->stem == STEM_FORM_TIERED;
    int half = d->stem_channels / 2;
    struct template t = {
        .stem = deep ? STEM_DEEP : (enum stem_kind)d->stem,
        .stem_channels = d->stem_channels,
        .stem_pool = d->stem_pool,
        .down = d->down,
        .antialias = d->antialias,
        .attention = d->attention,
        .hard_sigmoid = d->attention == ATTENTION_ESE,
        .stride_first = d->stride == STRIDE_1X1,
        .stage_count = d->stage_count,
        .classes = d->classes,
        .input_size = d->input_size,
    };
    if (deep) {
        t.stem_widths[0] = d->stem == STEM_FORM_TIERED ? 3 * (half / 4) : half;
        t.stem_widths[1] = half;
    }
    return t;
}

/* The two rules of section 3.1, which leave few free choices. Rule 1: blocks that make
 * maps of the same size share their width and the sizes of their filters, so one struct stage
 * stands for all of them. Rule 2: each time the map is halved, the width is doubled. */
int template_by_rules(const struct design *d, struct template *t, struct error *err)
{
    int64_t width = (int64_t)d->cardinality * d->path_width, out = d->out;
    *t = variant_by_rules(d);
    for (int i = 0; i < d->stage_count; i++, width *= 2, out *= 2) {
        struct stage *stage = &t->stages[i];
        if (width > TEMPLATE_MAX_CHANNELS || out > TEMPLATE_MAX_CHANNELS)
            return error_set(err, ERR_MODEL_UNSUPPORTED,
                             "stage %d would have more than %d channels; make C, d or out smaller",
                             i + 1, TEMPLATE_MAX_CHANNELS);
        *stage = template_stage(d->block, d->blocks[i], (int)width, (int)out, d->cardinality,
                                i > 0 || d->stem_channels != d->out);
        stage->attention = attention_size(d, out);
        stage->down_kernel = d->senet && i > 0 ? 3 : 1;
        for (int block = 0; d->senet && block < stage->blocks; block++)
            stage->widths[block].reduced /= 2;
    }
    if (d->legacy)
        template_make_legacy(t);
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
    bool reflects = layer->kind == LAYER_BLUR_POOL;
    if (!positive || s->in_h <= reflects || !fits_int(s->in_h, s->in_w, s->in_c) ||
        !fits_int(s->out_h, s->out_w, s->out_c))
        return false;
    if (!layer_has_weights(layer))
        return true;
    return s->in_c % s->groups == 0 && s->out_c % s->groups == 0 &&
           fits_int(s->kernel * s->kernel, s->in_c / s->groups, s->out_c);
}

/* Adds a layer that reads value `input` (size x size x channels). shape.out_h is 0 where it follows
 * from kernel, stride and padding. */
static struct layer *add(struct builder *b, enum layer_kind kind, int input, int size, int channels,
                         struct conv_shape shape)
{
    struct layer *layer = &b->layers[b->count++];
    int reach = size + 2 * shape.pad - shape.kernel;
    shape.in_h = shape.in_w = size;
    shape.in_c = channels;
    if (shape.out_h == 0 && reach >= 0)
        shape.out_h = reach / shape.stride + 1;
    shape.out_w = shape.out_h;
    *layer =
        (struct layer){.kind = kind, .shape = shape, .input = input, .residual = LAYER_NO_VALUE};
    if (!is_servable(layer))
        mark_unsupported(b);
    b->size = shape.out_h;
    b->channels = shape.out_c;
    return layer;
}

/* Adds a pool on the newest value. */
static struct layer *add_pool(struct builder *b, enum layer_kind kind, const char *name, int kernel,
                              int stride, int pad)
{
    struct layer *layer =
        add(b, kind, newest(b), b->size, b->channels,
            (struct conv_shape){
                .kernel = kernel, .stride = stride, .pad = pad, .groups = 1, .out_c = b->channels});
    strcpy(layer->name, name);
    return layer;
}

/* Sets a name in the block under construction: "layer1.0.conv2". */
static void name_in_block(const struct builder *b, char name[LAYER_NAME_MAX], const char *rest)
{
    snprintf(name, LAYER_NAME_MAX, "layer%d.%d.%s", b->stage + 1, b->block, rest);
}

/* Names the newest layer and its batch norm. */
static struct layer *name_newest(struct builder *b, const char *name, const char *norm)
{
    struct layer *layer = &b->layers[b->count - 1];
    name_in_block(b, layer->name, name);
    if (norm)
        name_in_block(b, layer->norm, norm);
    return layer;
}

/* A 1x1 or 3x3 convolution of a block, number `n`, on the newest value. */
static struct layer *add_block_conv(struct builder *b, int n, int kernel, int stride, int groups,
                                    int out)
{
    char name[16], norm[16];
    snprintf(name, sizeof name, "conv%d", n);
    snprintf(norm, sizeof norm, "bn%d", n);
    add(b, LAYER_CONV, newest(b), b->size, b->channels,
        (struct conv_shape){
            .kernel = kernel, .stride = stride, .pad = kernel / 2, .groups = groups, .out_c = out});
    struct layer *layer = name_newest(b, name, norm);
    layer->relu = true;
    return layer;
}

/* The 3x3 that halves the map where the stride is 2, or the filter behind it does. */
static void add_strided_conv(struct builder *b, const struct template *t, int n, int stride,
                             int groups, int out)
{
    bool filtered = stride > 1 && t->antialias != ANTIALIAS_NONE;
    add_block_conv(b, n, 3, filtered ? 1 : stride, groups, out);
    if (filtered && t->antialias == ANTIALIAS_AVG)
        add_pool(b, LAYER_AVG_POOL, "", 2, 2, 0);
    else if (filtered)
        add_pool(b, LAYER_BLUR_POOL, "", 3, 2, 1);
    if (filtered)
        name_newest(b, "aa", NULL);
}

/* All of a block but its last convolution. */
static void add_body(struct builder *b, const struct template *t, int stride)
{
    const struct stage *stage = &t->stages[b->stage];
    const struct block_width *width = &stage->widths[b->block];
    bool first = t->stride_first;
    if (stage->block == BLOCK_BASIC) {
        add_strided_conv(b, t, 1, stride, stage->cardinality, width->width);
        return;
    }
    add_block_conv(b, 1, 1, first ? stride : 1, 1, width->reduced);
    add_strided_conv(b, t, 2, first ? 1 : stride, stage->cardinality, width->width);
}

/* One fully connected layer of attention, on the newest value. */
static struct layer *add_excite(struct builder *b, const char *name, enum excite_function function,
                                int channels, int out)
{
    add(b, LAYER_EXCITE, newest(b), 1, b->channels,
        (struct conv_shape){.kernel = 1, .stride = 1, .groups = 1, .out_c = out});
    struct layer *layer = name_newest(b, name, NULL);
    layer->excitation = (struct excitation){.function = function, .channels = channels};
    return layer;
}

/* Attention to the output of a convolution with this kernel that will read the newest value.
 * Returns the first excite; the newest value is the gate. */
static struct layer *add_attention(struct builder *b, const struct template *t, int kernel)
{
    const struct stage *stage = &t->stages[b->stage];
    enum excite_function gate = t->hard_sigmoid ? EXCITE_HARD_SIGMOID : EXCITE_SIGMOID;
    add(b, LAYER_SQUEEZE, newest(b), b->size, b->channels,
        (struct conv_shape){.kernel = kernel,
                            .stride = 1,
                            .pad = kernel / 2,
                            .groups = 1,
                            .out_h = 1,
                            .out_c = kernel * kernel * b->channels});
    name_newest(b, "se", NULL);
    if (t->attention == ATTENTION_SE) {
        struct layer *first = add_excite(b, "se.fc1", EXCITE_RELU, stage->out, stage->attention);
        add_excite(b, "se.fc2", gate, stage->attention, stage->out);
        return first;
    }
    bool eca = t->attention == ATTENTION_ECA;
    struct layer *only = add_excite(b, eca ? "se.conv" : "se.fc", gate, stage->out, stage->out);
    only->excitation.kernel = eca ? stage->attention : 0;
    return only;
}

/* Adds the projection of a block that reads value `input`; the newest value is its output. */
static void add_projection(struct builder *b, const struct template *t, int input, int size,
                           int channels, int stride)
{
    const struct stage *stage = &t->stages[b->stage];
    bool avg = t->down == DOWN_AVG;
    int kernel = avg ? 1 : stage->down_kernel;
    if (avg && stride > 1) {
        int halved = size / 2 + size % 2;
        add(b, LAYER_AVG_POOL, input, size, channels,
            (struct conv_shape){
                .kernel = 2, .stride = 2, .groups = 1, .out_h = halved, .out_c = channels});
        name_newest(b, "downsample.0", NULL);
        input = newest(b);
        size = halved;
    }
    add(b, LAYER_CONV, input, size, channels,
        (struct conv_shape){.kernel = kernel,
                            .stride = avg ? 1 : stride,
                            .pad = kernel / 2,
                            .groups = 1,
                            .out_c = stage->out});
    name_newest(b, avg ? "downsample.1" : "downsample.0", avg ? "downsample.2" : "downsample.1");
}

/* The last layer of a block: its last convolution, or behind that and its ReLU one that only scales
 * (its weights are the identity). */
static struct layer *add_last(struct builder *b, const struct stage *stage, bool scales)
{
    if (!scales)
        return stage->block == BLOCK_BASIC ? add_block_conv(b, 2, 3, 1, 1, stage->out)
                                           : add_block_conv(b, 3, 1, 1, 1, stage->out);
    add(b, LAYER_CONV, newest(b), b->size, b->channels,
        (struct conv_shape){.kernel = 1, .stride = 1, .groups = 1, .out_c = stage->out});
    struct layer *layer = name_newest(b, "scale", NULL);
    layer->relu = true;
    return layer;
}

/* Whether the shortcut has the shape of what it is added to. */
static bool shortcut_fits(const struct builder *b, const struct layer *last)
{
    const struct conv_shape *shortcut = &b->layers[last->residual - 1].shape, *s = &last->shape;
    return shortcut->out_h == s->out_h && shortcut->out_c == s->out_c;
}

/* Adds one block (figure 3c). Attention and the shortcut's projection run just before the last
 * layer, which multiplies by the gate and adds the shortcut. */
static void add_block(struct builder *b, const struct template *t, int stride)
{
    const struct stage *stage = &t->stages[b->stage];
    const struct builder before = *b;
    bool basic = stage->block == BLOCK_BASIC, attends = t->attention != ATTENTION_NONE;
    bool scales = attends && basic && t->relu_first;
    struct layer *excite = NULL;
    int shortcut = newest(b), gate = 0;
    add_body(b, t, stride);
    if (scales)
        add_block_conv(b, 2, 3, 1, 1, stage->out);
    int input = newest(b), size = b->size, channels = b->channels;
    if (attends) {
        excite = add_attention(b, t, basic && !scales ? 3 : 1);
        gate = newest(b);
    }
    if (stage->projection && b->block == 0) {
        add_projection(b, t, shortcut, before.size, before.channels, stride);
        shortcut = newest(b);
    }
    b->size = size;
    b->channels = channels;
    struct layer *last = add_last(b, stage, scales);
    last->input = input;
    last->gate = gate;
    last->residual = shortcut;
    if (excite && !scales)
        excite->excitation.conv = newest(b) - 1;
    if (!shortcut_fits(b, last))
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

static void add_stem_conv(struct builder *b, const char *name, const char *norm, int kernel,
                          int stride, int out)
{
    struct layer *layer =
        add(b, LAYER_CONV, newest(b), b->size, b->channels,
            (struct conv_shape){
                .kernel = kernel, .stride = stride, .pad = kernel / 2, .groups = 1, .out_c = out});
    strcpy(layer->name, name);
    strcpy(layer->norm, norm);
    layer->relu = true;
}

/* PyTorch's ceil_mode: the last window may reach over the edge. */
static void add_ceil_pool(struct builder *b)
{
    add(b, LAYER_MAX_POOL, newest(b), b->size, b->channels,
        (struct conv_shape){
            .kernel = 3, .stride = 2, .groups = 1, .out_h = b->size / 2, .out_c = b->channels});
}

static void add_stem_pool(struct builder *b, const struct template *t)
{
    if (t->stem_pool == STEM_POOL_CONV) {
        add_stem_conv(b, "maxpool.0", "maxpool.1", 3, 2, b->channels);
    } else if (t->antialias == ANTIALIAS_AVG) {
        add_pool(b, LAYER_AVG_POOL, "maxpool", 2, 2, 0);
    } else if (t->antialias == ANTIALIAS_BLUR) {
        add_pool(b, LAYER_MAX_POOL, "maxpool.0", 3, 1, 1);
        add_pool(b, LAYER_BLUR_POOL, "maxpool.1", 3, 2, 1);
    } else if (t->stem_pool == STEM_POOL_CEIL) {
        add_ceil_pool(b);
    } else {
        add_pool(b, LAYER_MAX_POOL, "", 3, 2, 1);
    }
}

static void add_stem(struct builder *b, const struct template *t)
{
    if (t->stem == STEM_DEEP) {
        add_stem_conv(b, "conv1.0", "conv1.1", 3, 2, t->stem_widths[0]);
        add_stem_conv(b, "conv1.3", "conv1.4", 3, 1, t->stem_widths[1]);
        add_stem_conv(b, "conv1.6", "bn1", 3, 1, t->stem_channels);
    } else {
        bool imagenet = t->stem == STEM_IMAGENET;
        add_stem_conv(b, "conv1", "bn1", imagenet ? 7 : 3, imagenet ? 2 : 1, t->stem_channels);
    }
    if (t->stem != STEM_CIFAR)
        add_stem_pool(b, t);
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

/* Combinations that timm computes in another order, or that nobody has. */
static int check_variant(const struct template *t, struct error *err)
{
    bool legacy = t->stem_pool == STEM_POOL_CEIL;
    if (legacy && t->attention != ATTENTION_SE)
        return error_set(err, ERR_MODEL_UNSUPPORTED,
                         "a legacy SENet without SE attention is not served");
    const char *beside = t->stem_pool == STEM_POOL_CONV ? "a convolution instead of the stem's pool"
                         : legacy                       ? "the stem's pool without padding"
                         : t->stride_first              ? "stride on the first 1x1"
                                                        : NULL;
    if (t->antialias == ANTIALIAS_NONE || !beside)
        return ERR_OK;
    return error_set(err, ERR_MODEL_UNSUPPORTED, "anti-aliasing beside %s is not served", beside);
}

int template_layers(const struct template *t, struct layer **layers, size_t *count,
                    struct error *err)
{
    CHECK(t->stage_count >= 1 && t->stage_count <= TEMPLATE_MAX_STAGES);
    struct builder b = {
        .layers = calloc(max_layers(t), sizeof *b.layers), .size = t->input_size, .channels = 3};
    int code = b.layers ? check_variant(t, err)
                        : error_set(err, ERR_NO_MEMORY, "no memory for the list of layers");
    if (code != ERR_OK) {
        free(b.layers);
        return code;
    }
    add_stem(&b, t);
    add_stages(&b, t);
    if (!b.unsupported)
        add_head(&b, t);
    if (b.unsupported) {
        error_set(err, ERR_MODEL_UNSUPPORTED,
                  "layer %s cannot be served at input size %d: channels, groups or maps do not fit",
                  layer_label(&b.layers[b.unsupported - 1]), t->input_size);
        free(b.layers);
        return ERR_MODEL_UNSUPPORTED;
    }
    *layers = b.layers;
    *count = b.count;
    return ERR_OK;
}
