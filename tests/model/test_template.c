#include "model/template.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tests/suite.h"

static const struct {
    const char *name;
    int classes, input_size;
    int64_t parameters, multiply_adds; /* 0: not asserted */
} named[] = {
    {"resnext50_32x4d", 1000, 224, 25028904, 4230479872},
    {"resnext101_32x4d", 1000, 224, 44177704, 0},
    {"resnext101_32x8d", 1000, 224, 88791336, 0},
    {"resnext101_32x16d", 1000, 224, 194026792, 0},
    {"resnext101_32x32d", 1000, 224, 468530472, 0},
    {"resnext101_64x4d", 1000, 224, 83455272, 0},
    {"resnext29_8x4d", 10, 32, 728490, 0},
    {"resnext29_8x64d", 10, 32, 34426698, 0},
    {"resnext29_16x64d", 10, 32, 68155210, 0},
    {"resnet18", 1000, 224, 11689512, 1814073344},
    {"resnet34", 1000, 224, 21797672, 0},
    {"resnet50", 1000, 224, 25557032, 4089184256},
    {"resnet101", 1000, 224, 44549160, 0},
    {"resnet152", 1000, 224, 60192808, 0},
    {"wide_resnet50_2", 1000, 224, 68883240, 0},
    {"wide_resnet101_2", 1000, 224, 126886696, 0},
};
enum { NAMED = sizeof named / sizeof named[0] };

START_TEST(named_templates_have_the_published_sizes)
{
    for (int i = 0; i < NAMED; i++) {
        struct template t;
        struct layer *layers;
        size_t count;
        ck_assert_int_eq(template_from_name(named[i].name, &t, NULL), ERR_OK);
        ck_assert_int_eq(t.classes, named[i].classes);
        ck_assert_int_eq(t.input_size, named[i].input_size);
        ck_assert_int_eq(template_layers(&t, &layers, &count, NULL), ERR_OK);
        int64_t parameters = 0, multiply_adds = 0;
        for (size_t l = 0; l < count; l++) {
            parameters += layer_parameters(&layers[l]);
            multiply_adds += layer_multiply_adds(&layers[l]);
        }
        ck_assert_msg(parameters == named[i].parameters, "%s: %ld", named[i].name, parameters);
        if (named[i].multiply_adds)
            ck_assert_int_eq(multiply_adds, named[i].multiply_adds);
        free(layers);
    }
}
END_TEST

START_TEST(a_template_knows_its_name)
{
    char name[TEMPLATE_NAME_MAX];
    struct template t;
    for (int i = 0; i < NAMED; i++) {
        ck_assert_int_eq(template_from_name(named[i].name, &t, NULL), ERR_OK);
        t.classes = 7;
        t.input_size = 64;
        template_name(&t, name);
        ck_assert_str_eq(name, named[i].name);
    }
}
END_TEST

static void check_changed(const char *from, void (*change)(struct template *), const char *expected)
{
    char name[TEMPLATE_NAME_MAX];
    struct template t;
    ck_assert_int_eq(template_from_name(from, &t, NULL), ERR_OK);
    change(&t);
    template_name(&t, name);
    ck_assert_str_eq(name, expected);
}

static void narrow_stem(struct template *t)
{
    t->stem_channels = 32;
}

static void one_block_less(struct template *t)
{
    t->stages[2].blocks--;
}

static void five_wide(struct template *t)
{
    t->stages[0] = template_stage(BLOCK_BOTTLENECK, 3, 320, 256, t->stages[0].cardinality, true);
}

static void odd_width(struct template *t)
{
    t->stages[0] = template_stage(BLOCK_BOTTLENECK, 3, 100, 256, t->stages[0].cardinality, true);
}

static void other_reduction(struct template *t)
{
    t->stages[3].attention /= 2;
}

static void one_pruned_block(struct template *t)
{
    t->stages[2].widths[1] = (struct block_width){31, 17};
}

START_TEST(other_networks_are_described)
{
    check_changed("resnext50_32x4d", narrow_stem, "resnext50_32x4d.variant");
    check_changed("resnext50_32x4d", one_block_less, "resnext47_32x4d");
    check_changed("resnet18", one_block_less, "resnet16");
    check_changed("resnet50", five_wide, "wide_resnet50_5.variant");
    check_changed("resnet50", odd_width, "resnet50.w100");
    check_changed("seresnext50d_32x4d", one_block_less, "seresnext47d_32x4d");
    check_changed("seresnet50", other_reduction, "seresnet50.variant");
    check_changed("ecaresnet50d", one_pruned_block, "ecaresnet50d_pruned");
}
END_TEST

START_TEST(an_unknown_name_lists_the_known)
{
    struct template t;
    struct error err;
    ck_assert_int_eq(template_from_name("resnext51", &t, &err), ERR_MODEL_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.message, "resnext51"));
    ck_assert_ptr_nonnull(strstr(err.message, "resnext50_32x4d"));
    ck_assert_ptr_nonnull(strstr(err.message, "wide_resnet101_2"));
    static const char *const unknown[] = {
        "resnext50",           "resnet50_32x4d", "resnext18_32x4d", "wide_resnet50",
        "ecaresnet50d_pruned", "senet50",        "seresnet154",     "resnet270",
        "ecaresnetlight50",    "resnext50_4x0d", "resnext50_0x4d",  "wide_resnet50_0",
        "resnet50.a1_in1k"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        ck_assert_msg(template_from_name(unknown[i], &t, &err) == ERR_MODEL_UNSUPPORTED, "%s",
                      unknown[i]);
}
END_TEST

static void check_same(const struct template *a, const struct template *b)
{
    ck_assert_int_eq(a->stem, b->stem);
    ck_assert_int_eq(a->stem_channels, b->stem_channels);
    ck_assert_int_eq(a->classes, b->classes);
    ck_assert_int_eq(a->input_size, b->input_size);
    ck_assert_mem_eq(a->stem_widths, b->stem_widths, sizeof a->stem_widths);
    ck_assert_int_eq(a->stem_pool, b->stem_pool);
    ck_assert_int_eq(a->down, b->down);
    ck_assert_int_eq(a->antialias, b->antialias);
    ck_assert_int_eq(a->attention, b->attention);
    ck_assert_int_eq(a->hard_sigmoid, b->hard_sigmoid);
    ck_assert_int_eq(a->stride_first, b->stride_first);
    ck_assert_int_eq(a->stage_count, b->stage_count);
    for (int i = 0; i < a->stage_count; i++) {
        ck_assert_int_eq(a->stages[i].attention, b->stages[i].attention);
        ck_assert_int_eq(a->stages[i].down_kernel, b->stages[i].down_kernel);
        ck_assert_int_eq(a->stages[i].blocks, b->stages[i].blocks);
        ck_assert_int_eq(a->stages[i].block, b->stages[i].block);
        ck_assert_mem_eq(a->stages[i].widths, b->stages[i].widths, sizeof a->stages[i].widths);
        ck_assert_int_eq(a->stages[i].out, b->stages[i].out);
        ck_assert_int_eq(a->stages[i].cardinality, b->stages[i].cardinality);
        ck_assert_int_eq(a->stages[i].projection, b->stages[i].projection);
    }
}

START_TEST(numbers_are_read_into_the_stages)
{
    struct template t;
    const struct template wanted = {
        .stem = STEM_CIFAR,
        .stem_channels = 16,
        .stage_count = 3,
        .stages = {template_stage(BLOCK_BOTTLENECK, 1, 15, 16, 5, false),
                   template_stage(BLOCK_BOTTLENECK, 20, 30, 32, 5, true),
                   template_stage(BLOCK_BOTTLENECK, 3, 60, 64, 5, true)},
        .classes = 100,
        .input_size = 33,
    };
    ck_assert_int_eq(template_from_name("out=16:size=33:classes=100:stem_width=16:stem=cifar:"
                                        "block=bottleneck:d=3:C=5:blocks=1,20,3",
                                        &t, NULL),
                     ERR_OK);
    check_same(&t, &wanted);
}
END_TEST

START_TEST(what_is_not_said_is_usual)
{
    static const char *const same[][2] = {
        {"blocks=3,4,6,3:C=32:d=4", "resnext50_32x4d"},
        {"blocks=2,2,2,2:C=1:d=64:block=basic", "resnet18"},
        {"blocks=3,3,3:C=8:d=64:stem=cifar", "resnext29_8x64d"},
        {"blocks=3,4,6,3:C=32:d=4:attn=se:reduction=16", "seresnext50_32x4d"},
        {"blocks=3,4,6,3:C=1:d=64:stem=deep:pool=conv:down=avg:attn=se:reduction=4", "resnetrs50"},
        {"blocks=2,2,2,2:C=32:d=4:stem=tiered:down=avg:attn=eca", "ecaresnext26t_32x4d"},
        {"blocks=3,4,23,3:C=32:d=8:stem=deep:down=avg:aa=avg:attn=se", "seresnextaa101d_32x8d"},
        {"blocks=2,2,2,2:C=1:d=64:block=basic:aa=blur:pool=max:stride=3x3:attn=none",
         "resnetblur18"},
        {"blocks=3,4,6,3:C=32:d=4:stem=imagenet:stem_width=64:block=bottleneck:out=256:"
         "classes=1000:size=224",
         "resnext50_32x4d"},
    };
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        struct template a, b;
        ck_assert_int_eq(template_from_name(same[i][0], &a, NULL), ERR_OK);
        ck_assert_int_eq(template_from_name(same[i][1], &b, NULL), ERR_OK);
        check_same(&a, &b);
    }
}
END_TEST

START_TEST(wrong_numbers_are_refused)
{
    static const struct {
        const char *text, *says;
    } wrong[] = {
        {"blocks=3:C=1", "d=..."},
        {"blocks=3:d=1", "C=..."},
        {"C=1:d=1", "blocks=..."},
        {"blocks=3:C=1:d=1:", "KEY=VALUE"},
        {":blocks=3:C=1:d=1", "KEY=VALUE"},
        {"blocks=3::C=1:d=1", "KEY=VALUE"},
        {"blocks=3:C=1:d=1:classes", "classes"},
        {"blocks=3:C=1:d=1:depth=3", "depth=3"},
        {"blocks=3:c=1:d=1", "c=1"},
        {"blocks=3:C=1:d=1:C=1", "twice"},
        {"blocks=3:C=0:d=1", "C=0"},
        {"blocks=3:C=01:d=1", "C=01"},
        {"blocks=3:C=-1:d=1", "C=-1"},
        {"blocks=3:C= 1:d=1", "C= 1"},
        {"blocks=3:C=1 :d=1", "C=1 "},
        {"blocks=3:C=:d=1", "C="},
        {"blocks=3:C=131073:d=1", "131072"},
        {"blocks=3:C=18446744073709551617:d=1", "131072"},
        {"blocks=3:C=1:d==1", "d==1"},
        {"blocks=:C=1:d=1", "blocks="},
        {"blocks=3,:C=1:d=1", "blocks=3,"},
        {"blocks=,3:C=1:d=1", "blocks=,3"},
        {"blocks=257:C=1:d=1", "256"},
        {"blocks=1,1,1,1,1,1,1,1,1:C=1:d=1", "1 to 8"},
        {"blocks=1:C=1:d=1:block=big", "basic"},
        {"blocks=1:C=1:d=1:stem=", "cifar"},
        {"blocks=1:C=1:d=1:stem=cifarx", "cifar"},
        {"blocks=1:C=2:d=1:block=basic", "figure 4"},
        {"blocks=1:C=1:d=1:attn=sk", "none, se, ese or eca"},
        {"blocks=1:C=1:d=1:aa=yes", "none, avg or blur"},
        {"blocks=1:C=1:d=1:down=", "conv or avg"},
        {"blocks=1:C=1:d=1:pool=avg", "max or conv"},
        {"blocks=1:C=1:d=1:stride=2", "3x3 or 1x1"},
        {"blocks=1:C=1:d=1:reduction=0", "reduction=0"},
        {"blocks=1:C=1:d=1:stem=cifar:pool=conv", "stem=cifar"},
        {"blocks=1:C=1:d=1:stem=tiered:stem_width=7", "stem_width=7"},
        {"blocks=1:C=65536:d=65536", "stage 1"},
        {"blocks=1,1,1:C=2:d=32768", "stage 3"},
        {"blocks=1,1,1:C=2:d=3:out=65536", "stage 3"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct template t;
        struct error err;
        ck_assert_msg(template_from_name(wrong[i].text, &t, &err) == ERR_MODEL_UNSUPPORTED, "%s",
                      wrong[i].text);
        ck_assert_msg(strstr(err.message, wrong[i].says) != NULL, "%s: %s", wrong[i].text,
                      err.message);
    }
}
END_TEST

static void check_shape(const struct layer *l, int in, int in_c, int out, int out_c, int kernel,
                        int stride, int groups)
{
    const struct conv_shape *s = &l->shape;
    ck_assert_int_eq(s->in_h, in);
    ck_assert_int_eq(s->in_w, in);
    ck_assert_int_eq(s->in_c, in_c);
    ck_assert_int_eq(s->out_h, out);
    ck_assert_int_eq(s->out_w, out);
    ck_assert_int_eq(s->out_c, out_c);
    ck_assert_int_eq(s->kernel, kernel);
    ck_assert_int_eq(s->stride, stride);
    ck_assert_int_eq(s->groups, groups);
    ck_assert_int_eq(s->pad, l->kind == LAYER_GLOBAL_POOL ? 0 : kernel / 2);
}

START_TEST(resnext50_runs_as_the_paper_says)
{
    struct template t;
    struct layer *l;
    size_t count;
    ck_assert_int_eq(template_from_name("resnext50_32x4d", &t, NULL), ERR_OK);
    ck_assert_int_eq(template_layers(&t, &l, &count, NULL), ERR_OK);
    ck_assert_uint_eq(count, 1 + 1 + 16 * 3 + 4 + 1 + 1);
    check_shape(&l[0], 224, 3, 112, 64, 7, 2, 1);
    ck_assert_str_eq(l[0].name, "conv1");
    ck_assert_str_eq(l[0].norm, "bn1");
    ck_assert(l[0].relu);
    ck_assert_int_eq(l[1].kind, LAYER_MAX_POOL);
    check_shape(&l[1], 112, 64, 56, 64, 3, 2, 1);
    check_shape(&l[2], 56, 64, 56, 128, 1, 1, 1);
    check_shape(&l[3], 56, 128, 56, 128, 3, 1, 32);
    ck_assert_str_eq(l[3].name, "layer1.0.conv2");
    ck_assert_str_eq(l[3].norm, "layer1.0.bn2");
    /* the projection reads the block's input, and has no ReLU */
    ck_assert_str_eq(l[4].name, "layer1.0.downsample.0");
    ck_assert_str_eq(l[4].norm, "layer1.0.downsample.1");
    check_shape(&l[4], 56, 64, 56, 256, 1, 1, 1);
    ck_assert_int_eq(l[4].input, 2);
    ck_assert(!l[4].relu);
    /* the last convolution reads the 3x3's output and adds the projection */
    check_shape(&l[5], 56, 128, 56, 256, 1, 1, 1);
    ck_assert_int_eq(l[5].input, 4);
    ck_assert_int_eq(l[5].residual, 5);
    ck_assert(l[5].relu);
    /* the second block adds its own input */
    ck_assert_str_eq(l[6].name, "layer1.1.conv1");
    ck_assert_int_eq(l[6].input, 6);
    ck_assert_int_eq(l[6].residual, LAYER_NO_VALUE);
    ck_assert_str_eq(l[8].name, "layer1.1.conv3");
    ck_assert_int_eq(l[8].residual, 6);
    /* where the map halves, the stride sits on the 3x3 and on the projection */
    ck_assert_str_eq(l[12].name, "layer2.0.conv1");
    check_shape(&l[12], 56, 256, 56, 256, 1, 1, 1);
    check_shape(&l[13], 56, 256, 28, 256, 3, 2, 32);
    check_shape(&l[14], 56, 256, 28, 512, 1, 2, 1);
    check_shape(&l[15], 28, 256, 28, 512, 1, 1, 1);
    ck_assert_int_eq(l[count - 2].kind, LAYER_GLOBAL_POOL);
    check_shape(&l[count - 2], 7, 2048, 1, 2048, 7, 1, 1);
    ck_assert_int_eq(l[count - 1].kind, LAYER_LINEAR);
    check_shape(&l[count - 1], 1, 2048, 1, 1000, 1, 1, 1);
    ck_assert_str_eq(l[count - 1].name, "fc");
    ck_assert_str_eq(l[count - 1].norm, "");
    ck_assert(!l[count - 1].relu);
    free(l);
}
END_TEST

START_TEST(basic_blocks_run_as_the_paper_says)
{
    struct template t;
    struct layer *l;
    size_t count;
    ck_assert_int_eq(template_from_name("resnet18", &t, NULL), ERR_OK);
    ck_assert_int_eq(template_layers(&t, &l, &count, NULL), ERR_OK);
    ck_assert_uint_eq(count, 1 + 1 + 8 * 2 + 3 + 1 + 1);
    check_shape(&l[2], 56, 64, 56, 64, 3, 1, 1);
    ck_assert_int_eq(l[3].residual, 2);
    ck_assert_str_eq(l[6].name, "layer2.0.conv1");
    check_shape(&l[6], 56, 64, 28, 128, 3, 2, 1);
    ck_assert_str_eq(l[7].name, "layer2.0.downsample.0");
    check_shape(&l[8], 28, 128, 28, 128, 3, 1, 1);
    ck_assert_int_eq(l[8].input, 7);
    ck_assert_int_eq(l[8].residual, 8);
    free(l);
}
END_TEST

/* A layer by name, and its number. */
static const struct layer *find(const struct layer *layers, size_t count, const char *name, int *at)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(layers[i].name, name) == 0) {
            *at = (int)i;
            return &layers[i];
        }
    ck_abort_msg("no layer %s", name);
    return NULL;
}

static struct layer *layers_of_name(const char *name, size_t *count)
{
    struct template t;
    struct layer *layers;
    ck_assert_int_eq(template_from_name(name, &t, NULL), ERR_OK);
    ck_assert_int_eq(template_layers(&t, &layers, count, NULL), ERR_OK);
    return layers;
}

/* Squeeze, two excites, shortcut, last convolution; the pools of D and aa before what they feed. */
START_TEST(a_block_with_attention_and_pools_runs_in_this_order)
{
    static const struct {
        const char *name;
        enum layer_kind kind;
        int input, in, in_c, out, out_c; /* input: of the block's first layer, 0 */
    } rows[] = {
        {"layer2.0.conv1", LAYER_CONV, 0, 56, 256, 56, 512},
        {"layer2.0.conv2", LAYER_CONV, 1, 56, 512, 56, 512},
        {"layer2.0.aa", LAYER_AVG_POOL, 2, 56, 512, 28, 512},
        {"layer2.0.se", LAYER_SQUEEZE, 3, 28, 512, 1, 512},
        {"layer2.0.se.fc1", LAYER_EXCITE, 4, 1, 512, 1, 32},
        {"layer2.0.se.fc2", LAYER_EXCITE, 5, 1, 32, 1, 512},
        {"layer2.0.downsample.0", LAYER_AVG_POOL, 0, 56, 256, 28, 256},
        {"layer2.0.downsample.1", LAYER_CONV, 7, 28, 256, 28, 512},
        {"layer2.0.conv3", LAYER_CONV, 3, 28, 512, 28, 512},
    };
    enum { ROWS = sizeof rows / sizeof rows[0] };
    size_t count;
    int first;
    struct layer *layers = layers_of_name("seresnextaa101d_32x8d", &count);
    find(layers, count, rows[0].name, &first);
    for (int i = 0; i < ROWS; i++) {
        const struct layer *l = &layers[first + i];
        ck_assert_str_eq(l->name, rows[i].name);
        ck_assert_int_eq(l->kind, rows[i].kind);
        ck_assert_int_eq(l->input, first + rows[i].input);
        ck_assert_int_eq(l->shape.in_h, rows[i].in);
        ck_assert_int_eq(l->shape.in_c, rows[i].in_c);
        ck_assert_int_eq(l->shape.out_w, rows[i].out);
        ck_assert_int_eq(l->shape.out_c, rows[i].out_c);
    }
    const struct layer *last = &layers[first + ROWS - 1];
    ck_assert_int_eq(last->gate, first + 6);
    ck_assert_int_eq(last->residual, first + 8);
    ck_assert(last->relu);
    ck_assert_str_eq(layers[first + 7].norm, "layer2.0.downsample.2");
    const struct excitation *fc1 = &layers[first + 4].excitation;
    const struct excitation *fc2 = &layers[first + 5].excitation;
    ck_assert_int_eq(fc1->conv, first + ROWS - 1);
    ck_assert_int_eq(fc1->channels, 512);
    ck_assert_int_eq(fc1->function, EXCITE_RELU);
    ck_assert_int_eq(fc2->conv, 0);
    ck_assert_int_eq(fc2->function, EXCITE_SIGMOID);
    free(layers);
}
END_TEST

START_TEST(attention_to_a_3x3_has_nine_means)
{
    size_t count;
    int at;
    struct layer *layers = layers_of_name("seresnet18", &count);
    const struct layer *squeeze = find(layers, count, "layer1.0.se", &at);
    ck_assert_int_eq(squeeze->shape.kernel, 3);
    ck_assert_int_eq(squeeze->shape.pad, 1);
    ck_assert_int_eq(squeeze->shape.out_c, 9 * 64);
    ck_assert_int_eq(squeeze[1].shape.in_c, 9 * 64);
    ck_assert_int_eq(squeeze[1].excitation.channels, 64);
    free(layers);
}
END_TEST

/* Where a ReLU stands between a convolution and its attention, the means are of its output. */
START_TEST(a_legacy_basic_block_scales_behind_its_relu)
{
    size_t count;
    int at;
    struct layer *layers = layers_of_name("legacy_seresnet18", &count);
    const struct layer *conv = find(layers, count, "layer1.0.conv2", &at);
    ck_assert(conv->relu);
    ck_assert_int_eq(conv->residual, LAYER_NO_VALUE);
    ck_assert_int_eq(conv[1].input, at + 1);
    ck_assert_int_eq(conv[1].shape.kernel, 1);
    ck_assert_int_eq(conv[2].excitation.conv, 0);
    ck_assert_int_eq(conv[2].shape.out_c, 4);
    ck_assert_str_eq(conv[4].name, "layer1.0.scale");
    ck_assert_str_eq(conv[4].norm, "");
    ck_assert_int_eq(conv[4].input, at + 1);
    ck_assert_int_eq(conv[4].gate, at + 4);
    ck_assert_int_eq(conv[4].residual, at - 1);
    free(layers);
}
END_TEST

/* Behind a ReLU, a convolution over channels could not be multiplied into anything. */
START_TEST(legacy_senets_have_se)
{
    struct template t;
    struct error err;
    struct layer *layers;
    size_t count;
    ck_assert_int_eq(template_from_name("legacy_ecaresnet18", &t, &err), ERR_MODEL_UNSUPPORTED);
    ck_assert_int_eq(template_from_name("legacy_resnet18", &t, &err), ERR_MODEL_UNSUPPORTED);
    ck_assert_int_eq(template_from_name("ecaresnet18", &t, &err), ERR_OK);
    template_make_legacy(&t);
    ck_assert_int_eq(template_layers(&t, &layers, &count, &err), ERR_MODEL_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.message, "without SE attention"));
}
END_TEST

/* Pools of the stem; strides and kernels where they differ from the plain network's. */
START_TEST(stems_and_strides_are_those_of_the_variant)
{
    static const struct {
        const char *network, *layer;
        enum layer_kind kind;
        int kernel, stride, pad, out;
    } rows[] = {
        {"resnet50t", "conv1.0", LAYER_CONV, 3, 2, 1, 112},
        {"resnet50t", "conv1.3", LAYER_CONV, 3, 1, 1, 112},
        {"resnet50t", "conv1.6", LAYER_CONV, 3, 1, 1, 112},
        {"resnetrs50", "maxpool.0", LAYER_CONV, 3, 2, 1, 56},
        {"resnetaa50", "maxpool", LAYER_AVG_POOL, 2, 2, 0, 56},
        {"resnetblur50", "maxpool.0", LAYER_MAX_POOL, 3, 1, 1, 112},
        {"resnetblur50", "maxpool.1", LAYER_BLUR_POOL, 3, 2, 1, 56},
        {"legacy_seresnext50_32x4d", "", LAYER_MAX_POOL, 3, 2, 0, 56},
        {"resnetblur50", "layer2.0.conv2", LAYER_CONV, 3, 1, 1, 56},
        {"resnetblur50", "layer2.0.aa", LAYER_BLUR_POOL, 3, 2, 1, 28},
        {"resnetaa34d", "layer2.0.aa", LAYER_AVG_POOL, 2, 2, 0, 28},
        {"senet154", "layer1.0.downsample.0", LAYER_CONV, 1, 1, 0, 56},
        {"senet154", "layer2.0.downsample.0", LAYER_CONV, 3, 2, 1, 28},
        {"legacy_seresnet50", "layer2.0.conv1", LAYER_CONV, 1, 2, 0, 28},
        {"legacy_seresnet50", "layer2.0.conv2", LAYER_CONV, 3, 1, 1, 28},
        {"legacy_seresnext50_32x4d", "layer2.0.conv1", LAYER_CONV, 1, 1, 0, 56},
        {"legacy_seresnext50_32x4d", "layer2.0.conv2", LAYER_CONV, 3, 2, 1, 28},
        {"ecaresnetlight", "layer1.0.downsample.1", LAYER_CONV, 1, 1, 0, 56},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t count;
        int at;
        struct layer *layers = layers_of_name(rows[i].network, &count);
        const struct layer *l = find(layers, count, rows[i].layer, &at);
        ck_assert_int_eq(l->kind, rows[i].kind);
        ck_assert_int_eq(l->shape.kernel, rows[i].kernel);
        ck_assert_int_eq(l->shape.stride, rows[i].stride);
        ck_assert_int_eq(l->shape.pad, rows[i].pad);
        ck_assert_int_eq(l->shape.out_h, rows[i].out);
        free(layers);
    }
}
END_TEST

static int layers_of(const struct template *t, struct error *err)
{
    struct layer *layers;
    size_t count;
    int code = template_layers(t, &layers, &count, err);
    if (code == ERR_OK)
        free(layers);
    return code;
}

START_TEST(what_cannot_be_computed_is_refused)
{
    struct template good, t;
    struct error err;
    ck_assert_int_eq(template_from_name("resnext29_8x4d", &good, NULL), ERR_OK);
    t = good;
    t.input_size = 0;
    ck_assert_int_eq(layers_of(&t, &err), ERR_MODEL_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.message, "conv1"));
    t.input_size = 1;
    ck_assert_int_eq(layers_of(&t, &err), ERR_OK);
    t = good;
    t.stages[1].projection = false;
    ck_assert_int_eq(layers_of(&t, &err), ERR_MODEL_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.message, "layer2.0"));
    t = good;
    t.stages[2].cardinality = 3;
    ck_assert_int_eq(layers_of(&t, &err), ERR_MODEL_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.message, "layer3.0.conv2"));
    t = good;
    t.input_size = 30000;
    ck_assert_int_eq(layers_of(&t, &err), ERR_MODEL_UNSUPPORTED);
    t = good;
    t.stages[0].out = INT_MAX;
    ck_assert_int_eq(layers_of(&t, &err), ERR_MODEL_UNSUPPORTED);
}
END_TEST

static int layers_at(const char *name, int size, struct error *err)
{
    struct template t;
    ck_assert_int_eq(template_from_name(name, &t, NULL), ERR_OK);
    t.input_size = size;
    return layers_of(&t, err);
}

/* Average pools drop the last row of an odd map, and shortcuts do not: timm fails, too. */
START_TEST(maps_that_do_not_meet_are_refused)
{
    struct error err;
    ck_assert_int_eq(layers_at("resnetaa50d", 240, &err), ERR_MODEL_UNSUPPORTED);
    ck_assert_msg(strstr(err.message, "layer4.0.conv3") != NULL, "%s", err.message);
    ck_assert_int_eq(layers_at("resnetaa50d", 256, NULL), ERR_OK);
    ck_assert_int_eq(layers_at("resnetblur50d", 225, NULL), ERR_OK);
    ck_assert_int_eq(layers_at("seresnet50d", 225, NULL), ERR_OK);
    ck_assert_int_eq(layers_at("senet154", 225, NULL), ERR_OK);
    ck_assert_int_eq(layers_at("legacy_senet154", 225, NULL), ERR_OK);
    ck_assert_int_eq(layers_at("resnetblur50", 8, NULL), ERR_MODEL_UNSUPPORTED);
    ck_assert_int_eq(layers_at("blocks=1:C=1:d=1:pool=conv:aa=avg", 224, &err),
                     ERR_MODEL_UNSUPPORTED);
    ck_assert_msg(strstr(err.message, "anti-aliasing") != NULL, "%s", err.message);
}
END_TEST

TEST_MAIN("model/template", 10, named_templates_have_the_published_sizes, a_template_knows_its_name,
          other_networks_are_described, an_unknown_name_lists_the_known,
          numbers_are_read_into_the_stages, what_is_not_said_is_usual, wrong_numbers_are_refused,
          resnext50_runs_as_the_paper_says, basic_blocks_run_as_the_paper_says,
          what_cannot_be_computed_is_refused, a_block_with_attention_and_pools_runs_in_this_order,
          attention_to_a_3x3_has_nine_means, a_legacy_basic_block_scales_behind_its_relu,
          legacy_senets_have_se, stems_and_strides_are_those_of_the_variant,
          maps_that_do_not_meet_are_refused)
