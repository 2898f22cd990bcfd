/* The architecture template (paper, section 3.1): a stem, stages of identical residual blocks, a
 * pooled linear classifier. Read from a checkpoint's shapes or from a name, turned into layers. */
#ifndef RESNEXT_MODEL_TEMPLATE_H
#define RESNEXT_MODEL_TEMPLATE_H

#include "base/error.h"
#include "nn/layer.h"

enum { TEMPLATE_MAX_STAGES = 8, TEMPLATE_MAX_BLOCKS = 256, TEMPLATE_NAME_MAX = 64 };

enum stem_kind {
    STEM_IMAGENET, /* 7x7 stride 2, 3x3 max pool stride 2 */
    STEM_CIFAR,    /* 3x3 stride 1 */
};

enum block_kind {
    BLOCK_BOTTLENECK, /* 1x1, 3x3 with C groups, 1x1 (figure 3c) */
    BLOCK_BASIC,      /* 3x3, 3x3 (ResNet-18, -34) */
};

struct stage {
    int blocks;
    int width;       /* channels of the 3x3: C * d */
    int out;         /* channels of the block's output */
    int cardinality; /* C */
    bool projection; /* the first block has a projection shortcut */
};

struct template
{
    enum stem_kind stem;
    int stem_channels;
    enum block_kind block;
    int stage_count;
    struct stage stages[TEMPLATE_MAX_STAGES];
    int classes;
    int input_size;
};

/* A named template with its usual input size and classes: "resnext50_32x4d", "resnet18", ...
 * ERR_MODEL_UNSUPPORTED if the name is unknown; the message lists what is known. */
int template_from_name(const char *name, struct template *out, struct error *err);

/* The name as the field writes it: resnext50_32x4d, resnet18, wide_resnet50_2; a description of the
 * same form when there is no common name, with a tag (".variant") if another network has that name.
 * Input size and classes do not count. */
void template_name(const struct template *t, char name[TEMPLATE_NAME_MAX]);

/* The layers for one input size. `*layers` belongs to the caller (free). ERR_MODEL_UNSUPPORTED if
 * a map would vanish or a size is not representable, ERR_NO_MEMORY. */
int template_layers(const struct template *t, struct layer **layers, size_t *count,
                    struct error *err);

#endif
