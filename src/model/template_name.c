#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "model/network_name.h"

/* What a number in a name stands for. */
static const struct depth {
    int number;
    enum { ROW_USUAL, ROW_RS, ROW_LIGHT, ROW_SENET } form;
    enum block_kind block;
    int blocks[4];
    int stem_channels; /* of its deep stem, unless the letter is 's' */
} depths[] = {
    {10, ROW_USUAL, BLOCK_BASIC, {1, 1, 1, 1}, 64},
    {14, ROW_USUAL, BLOCK_BOTTLENECK, {1, 1, 1, 1}, 64},
    {18, ROW_USUAL, BLOCK_BASIC, {2, 2, 2, 2}, 64},
    {26, ROW_USUAL, BLOCK_BOTTLENECK, {2, 2, 2, 2}, 64},
    {34, ROW_USUAL, BLOCK_BASIC, {3, 4, 6, 3}, 64},
    {50, ROW_USUAL, BLOCK_BOTTLENECK, {3, 4, 6, 3}, 64},
    {101, ROW_USUAL, BLOCK_BOTTLENECK, {3, 4, 23, 3}, 64},
    {152, ROW_USUAL, BLOCK_BOTTLENECK, {3, 8, 36, 3}, 64},
    {200, ROW_USUAL, BLOCK_BOTTLENECK, {3, 24, 36, 3}, 64},
    {201, ROW_USUAL, BLOCK_BOTTLENECK, {3, 24, 36, 4}, 128},
    {269, ROW_USUAL, BLOCK_BOTTLENECK, {3, 30, 48, 8}, 64},
    {270, ROW_RS, BLOCK_BOTTLENECK, {4, 29, 53, 4}, 64},
    {350, ROW_RS, BLOCK_BOTTLENECK, {4, 36, 72, 4}, 64},
    {420, ROW_RS, BLOCK_BOTTLENECK, {4, 44, 87, 4}, 64},
    {0, ROW_LIGHT, BLOCK_BOTTLENECK, {1, 1, 11, 3}, 64},
    {154, ROW_SENET, BLOCK_BOTTLENECK, {3, 8, 36, 3}, 128},
};

/* The paper's networks for CIFAR, in the free grammar: no name of timm's has such a stem. */
static const struct known_template {
    const char *name, *numbers;
} cifar[] = {
    {"resnext29_8x4d", "blocks=3,3,3:C=8:d=4:stem=cifar:stem_width=32:out=128"},
    {"resnext29_8x64d", "blocks=3,3,3:C=8:d=64:stem=cifar"},
    {"resnext29_16x64d", "blocks=3,3,3:C=16:d=64:stem=cifar"},
};

#define KNOWN                                                                                      \
    "resnext50_32x4d, resnext101_32x4d, resnext101_32x8d, resnext101_32x16d, resnext101_32x32d, "  \
    "resnext101_64x4d, resnext29_8x4d, resnext29_8x64d, resnext29_16x64d, resnet18, resnet34, "    \
    "resnet50, resnet101, resnet152, wide_resnet50_2, wide_resnet101_2"

enum {
    DEPTHS = sizeof depths / sizeof depths[0],
    CIFARS = sizeof cifar / sizeof cifar[0],
    STAGES = 4,
};

/* The row's form that a name asks for; ResNet-RS has the usual depths, too. */
static bool is_form(const struct depth *row, const struct network_name *name)
{
    bool senet = name->family == FAMILY_SENET;
    if (row->form == ROW_RS)
        return name->rs;
    if (row->form == ROW_LIGHT || name->light)
        return row->form == ROW_LIGHT && name->light;
    return (row->form == ROW_SENET) == senet;
}

static const struct depth *find_depth(const struct network_name *name)
{
    for (size_t i = 0; i < DEPTHS; i++)
        if (depths[i].number == name->depth && is_form(&depths[i], name))
            return &depths[i];
    return NULL;
}

static struct design design_of(const struct network_name *name, const struct depth *depth)
{
    bool basic = depth->block == BLOCK_BASIC, senet = name->family == FAMILY_SENET;
    bool deep = network_name_is_deep(name);
    struct design d = {
        .stem = !deep                 ? STEM_FORM_IMAGENET
                : name->letter == 't' ? STEM_FORM_TIERED
                                      : STEM_FORM_DEEP,
        .stem_channels = !deep                 ? 64
                         : name->letter == 's' ? 128
                                               : depth->stem_channels,
        .stem_pool = network_name_pool(name),
        .down = network_name_down(name),
        .antialias = name->antialias,
        .attention = name->attention,
        .reduction = name->rs ? 4 : 16,
        .legacy = name->legacy,
        .senet = senet,
        .block = depth->block,
        .stage_count = STAGES,
        .cardinality = senet               ? 64
                       : name->cardinality ? name->cardinality
                                           : 1,
        .path_width = senet              ? 4
                      : name->path_width ? name->path_width
                      : name->widening   ? 64 * name->widening
                                         : 64,
        .out = basic ? 64 : 256,
        .classes = 1000,
        .input_size = 224,
    };
    memcpy(d.blocks, depth->blocks, sizeof depth->blocks);
    return d;
}

/* timm's little network for tests, with blocks of both kinds. */
static struct template test_network(void)
{
    struct template t = {
        .stem = STEM_DEEP,
        .stem_widths = {16, 16},
        .stem_channels = 32,
        .down = DOWN_AVG,
        .stage_count = STAGES,
        .stages = {template_stage(BLOCK_BASIC, 1, 32, 32, 1, false),
                   template_stage(BLOCK_BASIC, 1, 48, 48, 1, true),
                   template_stage(BLOCK_BOTTLENECK, 1, 48, 192, 1, true),
                   template_stage(BLOCK_BASIC, 1, 96, 96, 1, true)},
        .classes = 1000,
        .input_size = 224,
    };
    return t;
}

/* Whether there are networks of such a name: numbers of paths where they belong, and what goes with
 * blocks of that kind. */
static bool is_complete(const struct network_name *name, const struct depth *depth)
{
    bool basic = depth->block == BLOCK_BASIC;
    if (name->pruned || (name->family == FAMILY_RESNEXT) != (name->cardinality > 0) ||
        (name->cardinality > 0) != (name->path_width > 0) ||
        (name->family == FAMILY_WIDE) != (name->widening > 0))
        return false;
    return !basic || (name->cardinality == 0 && name->widening == 0);
}

/* A template from a name's parts; ERR_MODEL_UNSUPPORTED without a message if there is none. */
static int from_parts(const char *text, struct template *out)
{
    struct network_name name;
    if (!network_name_parse(text, &name) || strchr(text, '.'))
        return ERR_MODEL_UNSUPPORTED;
    if (name.family == FAMILY_TEST) {
        *out = test_network();
        return name.attention == ATTENTION_NONE && !name.legacy && !name.pruned
                   ? ERR_OK
                   : ERR_MODEL_UNSUPPORTED;
    }
    const struct depth *depth = find_depth(&name);
    if (!depth || !is_complete(&name, depth))
        return ERR_MODEL_UNSUPPORTED;
    const struct design design = design_of(&name, depth);
    return template_by_rules(&design, out, NULL);
}

static int from_known(const char *name, struct template *out)
{
    for (size_t i = 0; i < CIFARS; i++)
        if (strcmp(name, cifar[i].name) == 0) {
            CHECK(template_parse(cifar[i].numbers, out, NULL) == ERR_OK);
            return ERR_OK;
        }
    return from_parts(name, out);
}

int template_from_name(const char *name, struct template *out, struct error *err)
{
    if (strchr(name, '='))
        return template_parse(name, out, err);
    if (from_known(name, out) == ERR_OK)
        return ERR_OK;
    return error_set(err, ERR_MODEL_UNSUPPORTED,
                     "unknown template %.40s; known are " KNOWN
                     "; variants have timm's names, like seresnextaa101d_32x8d",
                     name);
}

static bool same_stage(const struct stage *a, const struct stage *b)
{
    bool same = a->block == b->block && a->blocks == b->blocks && a->out == b->out &&
                a->cardinality == b->cardinality && a->projection == b->projection &&
                a->down_kernel == b->down_kernel && a->attention == b->attention;
    for (int i = 0; same && i < a->blocks; i++)
        same = a->widths[i].width == b->widths[i].width &&
               (a->block == BLOCK_BASIC || a->widths[i].reduced == b->widths[i].reduced);
    return same;
}

/* The same network but for the number of classes and the size of its input. */
static bool same_network(const struct template *a, const struct template *b)
{
    bool same = a->stem == b->stem && a->stem_channels == b->stem_channels &&
                a->stem_widths[0] == b->stem_widths[0] && a->stem_widths[1] == b->stem_widths[1] &&
                a->stem_pool == b->stem_pool && a->down == b->down &&
                a->antialias == b->antialias && a->attention == b->attention &&
                a->hard_sigmoid == b->hard_sigmoid && a->stride_first == b->stride_first &&
                a->relu_first == b->relu_first && a->stage_count == b->stage_count;
    for (int i = 0; same && i < a->stage_count; i++)
        same = same_stage(&a->stages[i], &b->stages[i]);
    return same;
}

/* Layers with weights on the longest path. */
static int count_depth(const struct template *t)
{
    int depth = 2;
    for (int i = 0; i < t->stage_count; i++)
        depth += t->stages[i].blocks * (t->stages[i].block == BLOCK_BOTTLENECK ? 3 : 2);
    return depth;
}

static bool has_blocks(const struct template *t, const struct depth *row)
{
    bool same = t->stage_count == STAGES;
    for (int i = 0; same && i < STAGES; i++)
        same = t->stages[i].blocks == row->blocks[i] && t->stages[i].block == row->block;
    return same;
}

/* The number that names of this form have for these blocks. */
static int depth_of(const struct template *t, const struct network_name *name)
{
    for (size_t i = 0; i < DEPTHS; i++)
        if (has_blocks(t, &depths[i]) && is_form(&depths[i], name))
            return depths[i].number;
    return count_depth(t);
}

static bool is_pruned(const struct template *t)
{
    for (int i = 0; i < t->stage_count; i++)
        for (int block = 1; block < t->stages[i].blocks; block++)
            if (t->stages[i].widths[block].width != t->stages[i].widths[0].width)
                return true;
    return false;
}

static bool is_senet(const struct template *t)
{
    const struct block_width *first = &t->stages[0].widths[0];
    return t->stem == STEM_DEEP && t->attention == ATTENTION_SE &&
           t->stages[0].block == BLOCK_BOTTLENECK && 2 * first->reduced == first->width;
}

static bool is_light(const struct template *t)
{
    struct network_name light = {.light = true};
    return t->stem == STEM_IMAGENET && t->down == DOWN_AVG && depth_of(t, &light) == 0;
}

/* The letter that tells the stem and the shortcut. */
static char letter_of(const struct template *t, bool pruned)
{
    if (t->stem != STEM_DEEP)
        return 0;
    if (t->stem_widths[0] != t->stem_widths[1] && !pruned)
        return 't';
    return t->down == DOWN_AVG ? 'd' : t->stem_channels > 64 ? 's' : 'c';
}

/* The family and what follows the depth. Returns a width that no name of timm's tells, or 0. */
static int take_family(const struct template *t, struct network_name *name)
{
    const struct stage *first = &t->stages[0];
    int width = first->widths[0].width / first->cardinality;
    int usual = first->block == BLOCK_BOTTLENECK ? first->out / 4 : first->out;
    if (is_senet(t)) {
        name->family = FAMILY_SENET;
    } else if (first->cardinality > 1) {
        name->family = FAMILY_RESNEXT;
        name->cardinality = first->cardinality;
        name->path_width = width;
    } else if (width != usual && !name->pruned) {
        bool wide = usual > 0 && width % usual == 0;
        name->family = wide ? FAMILY_WIDE : FAMILY_RESNET;
        name->widening = wide ? width / usual : 0;
        return wide ? 0 : width;
    }
    return 0;
}

static void describe(const struct template *t, char text[TEMPLATE_NAME_MAX])
{
    struct network_name name = {
        .legacy = t->stem_pool == STEM_POOL_CEIL,
        .rs = t->stem_pool == STEM_POOL_CONV && t->attention == ATTENTION_SE,
        .light = is_light(t),
        .pruned = is_pruned(t),
        .attention = t->attention,
        .antialias = t->antialias,
    };
    int width = take_family(t, &name);
    name.depth = depth_of(t, &name);
    if (!name.rs && name.family != FAMILY_SENET)
        name.letter = letter_of(t, name.pruned);
    network_name_text(&name, text);
    size_t used = strlen(text);
    if (width)
        snprintf(text + used, TEMPLATE_NAME_MAX - used, ".w%d", width);
}

void template_name(const struct template *t, char name[TEMPLATE_NAME_MAX])
{
    struct template other = test_network();
    if (same_network(t, &other)) {
        strcpy(name, "test_resnet");
        return;
    }
    for (size_t i = 0; i < CIFARS; i++)
        if (from_known(cifar[i].name, &other) == ERR_OK && same_network(t, &other)) {
            strcpy(name, cifar[i].name);
            return;
        }
    describe(t, name);
    if (from_known(name, &other) == ERR_OK && !same_network(t, &other))
        strncat(name, ".variant", TEMPLATE_NAME_MAX - strlen(name) - 1);
}
