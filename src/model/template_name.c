#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "model/template.h"

/* Common names, in the free grammar. */
static const struct known_template {
    const char *name, *numbers;
} known_templates[] = {
    {"resnext50_32x4d", "blocks=3,4,6,3:C=32:d=4"},
    {"resnext101_32x4d", "blocks=3,4,23,3:C=32:d=4"},
    {"resnext101_32x8d", "blocks=3,4,23,3:C=32:d=8"},
    {"resnext101_32x16d", "blocks=3,4,23,3:C=32:d=16"},
    {"resnext101_32x32d", "blocks=3,4,23,3:C=32:d=32"},
    {"resnext101_64x4d", "blocks=3,4,23,3:C=64:d=4"},
    {"resnext29_8x4d", "blocks=3,3,3:C=8:d=4:stem=cifar:stem_width=32:out=128"},
    {"resnext29_8x64d", "blocks=3,3,3:C=8:d=64:stem=cifar"},
    {"resnext29_16x64d", "blocks=3,3,3:C=16:d=64:stem=cifar"},
    {"resnet18", "blocks=2,2,2,2:C=1:d=64:block=basic"},
    {"resnet34", "blocks=3,4,6,3:C=1:d=64:block=basic"},
    {"resnet50", "blocks=3,4,6,3:C=1:d=64"},
    {"resnet101", "blocks=3,4,23,3:C=1:d=64"},
    {"resnet152", "blocks=3,8,36,3:C=1:d=64"},
    {"wide_resnet50_2", "blocks=3,4,6,3:C=1:d=128"},
    {"wide_resnet101_2", "blocks=3,4,23,3:C=1:d=128"},
};
enum { KNOWN_COUNT = sizeof known_templates / sizeof known_templates[0] };

static void expand(const struct known_template *common, struct template *t)
{
    CHECK(template_parse(common->numbers, t, NULL) == ERR_OK);
}

static int unknown_name(const char *name, struct error *err)
{
    char list[400] = "";
    size_t used = 0;
    for (size_t i = 0; i < KNOWN_COUNT && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                                 known_templates[i].name);
    return error_set(err, ERR_MODEL_UNSUPPORTED, "unknown template %.40s; known are %s", name,
                     list);
}

int template_from_name(const char *name, struct template *out, struct error *err)
{
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        if (strcmp(name, known_templates[i].name) == 0) {
            expand(&known_templates[i], out);
            return ERR_OK;
        }
    }
    return strchr(name, '=') ? template_parse(name, out, err) : unknown_name(name, err);
}

static bool same_stage(const struct stage *a, const struct stage *b)
{
    bool same = a->block == b->block && a->blocks == b->blocks && a->out == b->out &&
                a->cardinality == b->cardinality && a->projection == b->projection;
    for (int i = 0; same && i < a->blocks; i++)
        same = a->widths[i].reduced == b->widths[i].reduced &&
               a->widths[i].width == b->widths[i].width;
    return same;
}

/* The same network but for the number of classes and the size of its input. */
static bool same_network(const struct template *a, const struct template *b)
{
    bool same = a->stem == b->stem && a->stem_channels == b->stem_channels &&
                a->stage_count == b->stage_count;
    for (int i = 0; same && i < a->stage_count; i++)
        same = same_stage(&a->stages[i], &b->stages[i]);
    return same;
}

/* The number in a name: layers with weights on the longest path. */
static int depth_of(const struct template *t)
{
    int depth = 2;
    for (int i = 0; i < t->stage_count; i++)
        depth += t->stages[i].blocks * (t->stages[i].block == BLOCK_BOTTLENECK ? 3 : 2);
    return depth;
}

static void describe(const struct template *t, char name[TEMPLATE_NAME_MAX])
{
    const struct stage *first = &t->stages[0];
    int depth = depth_of(t), width = first->widths[0].width / first->cardinality;
    int usual = first->block == BLOCK_BOTTLENECK ? first->out / 4 : first->out;
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
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        expand(&known_templates[i], &common);
        if (same_network(t, &common)) {
            snprintf(name, TEMPLATE_NAME_MAX, "%s", known_templates[i].name);
            return;
        }
        taken = taken || strcmp(name, known_templates[i].name) == 0;
    }
    if (taken)
        strncat(name, ".variant", TEMPLATE_NAME_MAX - strlen(name) - 1);
}
