/* The architecture template (paper, section 3.1): a stem, stages of identical residual blocks, a
 * pooled linear classifier. Read from a checkpoint's shapes or from a name, turned into layers. */
#ifndef RESNEXT_MODEL_TEMPLATE_H
#define RESNEXT_MODEL_TEMPLATE_H

#include "base/error.h"
#include "nn/layer.h"

enum {
    TEMPLATE_MAX_STAGES = 8,
    TEMPLATE_MAX_BLOCKS = 256,       /* a stage */
    TEMPLATE_MAX_CHANNELS = 1 << 17, /* also classes; small enough for checked arithmetic */
    TEMPLATE_NAME_MAX = 96,
};

enum stem_kind {
    STEM_IMAGENET, /* 7x7 stride 2, then a pool */
    STEM_CIFAR,    /* 3x3 stride 1, no pool */
    STEM_DEEP,     /* three 3x3, the first with stride 2, then a pool (ResNet-C, -D, tiered) */
};

enum stem_pool {
    STEM_POOL_MAX,  /* 3x3 max pool, stride 2, padding 1 */
    STEM_POOL_CONV, /* 3x3 convolution, stride 2 (ResNet-RS) */
    STEM_POOL_CEIL, /* the max pool without padding, its output rounded up (legacy SENet) */
};

enum block_kind {
    BLOCK_BOTTLENECK, /* 1x1, 3x3 with C groups, 1x1 (figure 3c) */
    BLOCK_BASIC,      /* 3x3, 3x3 (ResNet-18, -34) */
};

/* How a projection shortcut halves the map. */
enum down_kind {
    DOWN_CONV, /* its convolution has stride 2 */
    DOWN_AVG,  /* 2x2 average pool before its 1x1 (ResNet-D) */
};

/* What filters where the 3x3 would have stride 2, which then has stride 1. */
enum antialias {
    ANTIALIAS_NONE,
    ANTIALIAS_AVG,  /* 2x2 average pool, also instead of the stem's max pool */
    ANTIALIAS_BLUR, /* 3x3 blur with stride 2, also after the stem's max pool, with stride 1 */
};

/* The gate of each block's output: see nn/attention.h. */
enum attention {
    ATTENTION_NONE,
    ATTENTION_SE,  /* two layers, ReLU between; usually a sigmoid */
    ATTENTION_ESE, /* one layer; usually a hard sigmoid */
    ATTENTION_ECA, /* a convolution over neighbouring channels; usually a sigmoid */
};

struct stage {
    enum block_kind block;
    int blocks;
    int out;         /* channels of the block's output */
    int cardinality; /* C */
    bool projection; /* the first block has a projection shortcut */
    int down_kernel; /* of the shortcut's convolution: 1, or 3 */
    int attention;   /* SE: channels between its layers; ECA: channels of its kernel */
    struct block_width {
        int reduced;               /* channels of a bottleneck's first 1x1, usually `width` */
        int width;                 /* channels of the 3x3 with C groups: C * d */
    } widths[TEMPLATE_MAX_BLOCKS]; /* of each block; they differ where channels were pruned */
};

struct template
{
    enum stem_kind stem;
    int stem_widths[2]; /* of a deep stem: channels of its first two convolutions */
    int stem_channels;
    enum stem_pool stem_pool;
    enum down_kind down;
    enum antialias antialias;
    enum attention attention;
    bool hard_sigmoid; /* the gate's function, instead of the sigmoid */
    bool stride_first; /* bottlenecks have their stride on the first 1x1 */
    bool relu_first;   /* basic blocks with attention have a ReLU before it (legacy SENet) */
    int stage_count;
    struct stage stages[TEMPLATE_MAX_STAGES];
    int classes;
    int input_size;
};

/* A stage whose blocks all have the same widths, as the paper's rules make them. */
struct stage template_stage(enum block_kind block, int blocks, int width, int out, int cardinality,
                            bool projection);

/* The free choices of a network that follows the paper's rules: the number of stages, their blocks,
 * the sizes of the first stage, and the variant. */
struct design {
    enum stem_form { STEM_FORM_IMAGENET, STEM_FORM_CIFAR, STEM_FORM_DEEP, STEM_FORM_TIERED } stem;
    int stem_channels;
    enum stem_pool stem_pool;
    enum down_kind down;
    enum antialias antialias;
    enum attention attention;
    int reduction;                          /* SE: channels divided by it, a multiple of 8 */
    enum { STRIDE_3X3, STRIDE_1X1 } stride; /* of bottlenecks */
    bool legacy; /* SENet as Caffe has it: pools, strides, ReLUs; any quotient of channels */
    bool senet;  /* first 1x1 of half the width, shortcuts of 3x3 (SENet-154) */
    enum block_kind block;
    int stage_count;
    int blocks[TEMPLATE_MAX_STAGES];
    int cardinality; /* C */
    int path_width;  /* d in the first stage */
    int out;         /* channels of the first stage's output */
    int classes;
    int input_size;
};

/* Applies the two rules of section 3.1 to a design, whose numbers must be in their ranges.
 * ERR_MODEL_UNSUPPORTED if a stage would have more than TEMPLATE_MAX_CHANNELS. */
int template_by_rules(const struct design *design, struct template *out, struct error *err);

/* Makes it a SENet as Caffe has it: the stem's pool is not padded; bottlenecks of a ResNet have
 * their stride on the first 1x1; basic blocks have a ReLU before their attention. (timm's senet.py)
 */
void template_make_legacy(struct template *t);

/* The help text for the free grammar. */
#define TEMPLATE_GRAMMAR_HELP                                                                      \
    "TEMPLATE is a name as timm has them, like resnext50_32x4d or seresnextaa101d_32x8d, or "      \
    "numbers\n"                                                                                    \
    "like blocks=3,4,6,3:C=32:d=4. KEY=VALUE in any order, separated by colons; blocks, C and d "  \
    "are\n"                                                                                        \
    "required:\n"                                                                                  \
    "  blocks=N,N,...         blocks of each stage, 1 to 8 stages of 1 to 256 blocks\n"            \
    "  C=N                    cardinality: paths of a block; 1 is a ResNet\n"                      \
    "  d=N                    width of a path in the first stage; doubles with every stage\n"      \
    "  block=bottleneck|basic 1x1, 3x3, 1x1 (default), or 3x3, 3x3 with C=1\n"                     \
    "  stem=imagenet|cifar|deep|tiered\n"                                                          \
    "                         7x7 with stride 2 (default), 3x3, or three 3x3 whose first two "     \
    "have\n"                                                                                       \
    "                         half the channels of the last (tiered: the first still fewer)\n"     \
    "  stem_width=N           channels of the stem (default 64)\n"                                 \
    "  pool=max|conv          behind the stem: a max pool, or a 3x3 convolution\n"                 \
    "  down=conv|avg          a shortcut halves the map by its convolution, or by a 2x2 pool\n"    \
    "  aa=none|avg|blur       what filters before a map is halved\n"                               \
    "  attn=none|se|ese|eca   channel attention of each block\n"                                   \
    "  reduction=N            attn=se: channels between its layers are divided by N (default "     \
    "16)\n"                                                                                        \
    "  stride=3x3|1x1         which convolution of a bottleneck has the stride\n"                  \
    "  out=N                  channels of the first stage's output; doubles as d does\n"           \
    "                         (default 256, with block=basic 64)\n"                                \
    "  classes=N              (default 1000, with stem=cifar 10)\n"                                \
    "  size=N                 edge of the input (default 224, with stem=cifar 32)"

/* Parses the free grammar. ERR_MODEL_UNSUPPORTED; the message names a key that is unknown, missing,
 * duplicate, or has a bad value. */
int template_parse(const char *text, struct template *out, struct error *err);

/* Finds a template by its name ("resnext50_32x4d", "seresnet18", ...), or parses the free grammar
 * if `name` has a '='. ERR_MODEL_UNSUPPORTED if the name is unknown (the message lists known ones),
 * or as template_parse. */
int template_from_name(const char *name, struct template *out, struct error *err);

/* The usual name of a network: resnext50_32x4d, resnet18, ecaresnet50d_pruned. A network without
 * one gets a name of the same form, with the tag ".variant" if another network has that name. Input
 * size and classes do not matter. */
void template_name(const struct template *t, char name[TEMPLATE_NAME_MAX]);

/* Makes the layers for t->input_size. `*layers` belongs to the caller (free). ERR_MODEL_UNSUPPORTED
 * if a map would vanish or a size is not representable, ERR_NO_MEMORY. */
int template_layers(const struct template *t, struct layer **layers, size_t *count,
                    struct error *err);

#endif
