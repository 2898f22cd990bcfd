/* What the paper (arXiv 1611.05431) says about sizes, counted on the layers that templates make:
 * the two rules of section 3.1, equation 4, tables 1 and 2, and the parameters of table 7. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/template.h"
#include "tests/suite.h"

enum { BLOCK_DEPTH = 3 };

/* A template's layers. */
struct list {
    struct template template;
    struct layer *layers;
    size_t count;
};

static struct list list_of(const char *name)
{
    struct list list;
    ck_assert_msg(template_from_name(name, &list.template, NULL) == ERR_OK, "%s", name);
    ck_assert_int_eq(template_layers(&list.template, &list.layers, &list.count, NULL), ERR_OK);
    return list;
}

static int64_t parameters(const struct layer *layers, size_t count)
{
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += layer_parameters(&layers[i]);
    return sum;
}

static int64_t multiply_adds(const struct layer *layers, size_t count)
{
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += layer_multiply_adds(&layers[i]);
    return sum;
}

/* As the paper counts: without batch norm's scale and shift. */
static int64_t paper_parameters(const struct layer *layers, size_t count)
{
    int64_t sum = parameters(layers, count);
    for (size_t i = 0; i < count; i++)
        sum -= layers[i].kind == LAYER_CONV ? 2 * layers[i].shape.out_c : 0;
    return sum;
}

/* The number of the layer of this name. */
static size_t find(const struct list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->layers[i].name, name) == 0)
            return i;
    ck_abort_msg("no layer %s", name);
    return 0;
}

/* The convolutions of the first block of a stage that has no projection. */
static const struct layer *plain_block(const struct list *list, int stage)
{
    char name[LAYER_NAME_MAX];
    snprintf(name, sizeof name, "layer%d.1.conv1", stage + 1);
    return &list->layers[find(list, name)];
}

static double rounded(int64_t count, double unit)
{
    return round((double)count / unit * 10) / 10;
}

static const char *const paper_names[] = {
    "resnext50_32x4d", "resnext101_32x4d", "resnext101_32x8d", "resnext101_64x4d",
    "resnext29_8x64d", "resnext29_16x64d", "resnet18",         "resnet34",
    "resnet50",        "resnet101",        "resnet152",
};
enum { PAPER_NAMES = sizeof paper_names / sizeof paper_names[0] };

/* Rule 1: blocks of the same map size share width and filter sizes. */
START_TEST(rule_1_blocks_of_one_map_size_are_alike)
{
    for (int n = 0; n < PAPER_NAMES; n++) {
        struct list list = list_of(paper_names[n]);
        int depth = list.template.stages[0].block == BLOCK_BOTTLENECK ? 3 : 2;
        for (int stage = 0; stage < list.template.stage_count; stage++) {
            const struct layer *model = plain_block(&list, stage);
            int blocks = list.template.stages[stage].blocks;
            ck_assert_int_ge(blocks, 2);
            for (int b = 0; b + 1 < blocks; b++)
                for (int i = 0; i < depth; i++)
                    ck_assert_mem_eq(&model[b * depth + i].shape, &model[i].shape,
                                     sizeof model->shape);
        }
        free(list.layers);
    }
}
END_TEST

/* Rule 2: when the map is halved, the width doubles; so all blocks cost the same. */
START_TEST(rule_2_width_doubles_where_the_map_halves)
{
    for (int n = 0; n < PAPER_NAMES; n++) {
        struct list list = list_of(paper_names[n]);
        size_t depth = list.template.stages[0].block == BLOCK_BOTTLENECK ? 3 : 2;
        for (int stage = 1; stage < list.template.stage_count; stage++) {
            const struct layer *before = plain_block(&list, stage - 1);
            const struct layer *now = plain_block(&list, stage);
            for (size_t i = 0; i < depth; i++) {
                ck_assert_int_eq(now[i].shape.out_h * 2, before[i].shape.out_h);
                ck_assert_int_eq(now[i].shape.out_c, before[i].shape.out_c * 2);
                ck_assert_int_eq(now[i].shape.groups, before[i].shape.groups);
                ck_assert_int_eq(now[i].shape.kernel, before[i].shape.kernel);
            }
            ck_assert_int_eq(multiply_adds(now, depth), multiply_adds(before, depth));
        }
        free(list.layers);
    }
}
END_TEST

/* Table 2: cardinality, width of a path, width of the grouped convolution, at equal complexity. */
static const struct {
    int cardinality, width, grouped_width;
    const char *network;
} table_2[] = {
    {1, 64, 64, "blocks=3,4,6,3:C=1:d=64"},  {2, 40, 80, "blocks=3,4,6,3:C=2:d=40"},
    {4, 24, 96, "blocks=3,4,6,3:C=4:d=24"},  {8, 14, 112, "blocks=3,4,6,3:C=8:d=14"},
    {32, 4, 128, "blocks=3,4,6,3:C=32:d=4"},
};
enum { TABLE_2 = sizeof table_2 / sizeof table_2[0] };

START_TEST(equation_4_counts_a_block)
{
    static const int64_t exact[TABLE_2] = {69632, 69760, 69888, 71456, 70144};
    for (int i = 0; i < TABLE_2; i++) {
        struct list list = list_of(table_2[i].network);
        int64_t C = table_2[i].cardinality, d = table_2[i].width;
        int64_t counted = paper_parameters(plain_block(&list, 0), BLOCK_DEPTH);
        ck_assert_int_eq(counted, C * (256 * d + 3 * 3 * d * d + d * 256));
        ck_assert_int_eq(counted, exact[i]);
        free(list.layers);
    }
}
END_TEST

START_TEST(table_2_trades_width_for_cardinality)
{
    for (int i = 0; i < TABLE_2; i++) {
        struct list list = list_of(table_2[i].network);
        const struct layer *block = plain_block(&list, 0);
        const struct conv_shape *grouped = &block[1].shape;
        ck_assert_int_eq(grouped->groups, table_2[i].cardinality);
        ck_assert_int_eq(grouped->in_c / grouped->groups, table_2[i].width);
        ck_assert_int_eq(grouped->out_c, table_2[i].grouped_width);
        /* "about 70k parameters", and multiply-adds on a map of 56 x 56 in proportion */
        int64_t counted = paper_parameters(block, BLOCK_DEPTH);
        ck_assert_int_eq((counted + 1000) / 10000, 7);
        ck_assert_int_eq(multiply_adds(block, BLOCK_DEPTH), counted * 56 * 56);
        /* the whole networks stay near ResNet-50 too */
        double of_resnet50 = (double)multiply_adds(list.layers, list.count) / 4089184256;
        ck_assert_double_eq_tol(of_resnet50, 1, 0.05);
        of_resnet50 = (double)parameters(list.layers, list.count) / 25557032;
        ck_assert_double_eq_tol(of_resnet50, 1, 0.03);
        free(list.layers);
    }
}
END_TEST

/* Table 1, row by row: the map of a stage, and [kernel, channels] of its convolutions. */
static void check_table_1(const char *name, int width, int cardinality)
{
    static const int blocks[] = {3, 4, 6, 3}, edges[] = {56, 28, 14, 7};
    struct list list = list_of(name);
    ck_assert_int_eq(list.layers[0].shape.out_h, 112);
    ck_assert_int_eq(list.layers[0].shape.kernel, 7);
    ck_assert_int_eq(list.layers[0].shape.out_c, 64);
    ck_assert_int_eq(list.layers[1].kind, LAYER_MAX_POOL);
    ck_assert_int_eq(list.template.stage_count, 4);
    for (int i = 0; i < 4; i++) {
        const struct layer *block = plain_block(&list, i);
        ck_assert_int_eq(list.template.stages[i].blocks, blocks[i]);
        ck_assert_int_eq(block[0].shape.kernel, 1);
        ck_assert_int_eq(block[0].shape.out_c, width << i);
        ck_assert_int_eq(block[1].shape.kernel, 3);
        ck_assert_int_eq(block[1].shape.out_c, width << i);
        ck_assert_int_eq(block[1].shape.groups, cardinality);
        ck_assert_int_eq(block[2].shape.kernel, 1);
        ck_assert_int_eq(block[2].shape.out_c, 256 << i);
        ck_assert_int_eq(block[2].shape.out_h, edges[i]);
    }
    ck_assert_int_eq(list.layers[list.count - 1].shape.out_c, 1000);
    free(list.layers);
}

START_TEST(table_1_stage_by_stage)
{
    check_table_1("resnet50", 64, 1);
    check_table_1("resnext50_32x4d", 128, 32);
}
END_TEST

/* The totals: exact as PyTorch counts them, and rounded as the paper prints them. A 0 was not
 * printed. The paper leaves batch norm out: with it ResNet-50 would have 25.6 million. */
START_TEST(tables_1_and_7_totals)
{
    static const struct {
        const char *name;
        int64_t parameters, multiply_adds;
        double millions, billions;
    } totals[] = {
        {"resnet50", 25557032, 4089184256, 25.5, 4.1},
        {"resnext50_32x4d", 25028904, 4230479872, 25.0, 4.2},
        {"resnext101_32x4d", 44177704, 0, 0, 0},
        {"resnext101_32x8d", 88791336, 0, 0, 0},
        {"resnext101_64x4d", 83455272, 0, 0, 0},
        {"resnext29_8x64d", 34426698, 0, 34.4, 0},
        {"resnext29_16x64d", 68155210, 0, 68.1, 0},
    };
    for (size_t i = 0; i < sizeof totals / sizeof totals[0]; i++) {
        struct list list = list_of(totals[i].name);
        int64_t adds = multiply_adds(list.layers, list.count);
        double millions = rounded(paper_parameters(list.layers, list.count), 1e6);
        ck_assert_int_eq(parameters(list.layers, list.count), totals[i].parameters);
        if (totals[i].multiply_adds != 0) {
            ck_assert_int_eq(adds, totals[i].multiply_adds);
            ck_assert_double_eq_tol(rounded(adds, 1e9), totals[i].billions, 1e-9);
        }
        if (totals[i].millions > 0)
            ck_assert_double_eq_tol(millions, totals[i].millions, 1e-9);
        free(list.layers);
    }
}
END_TEST

TEST_MAIN("model/paper", 10, rule_1_blocks_of_one_map_size_are_alike,
          rule_2_width_doubles_where_the_map_halves, equation_4_counts_a_block,
          table_2_trades_width_for_cardinality, table_1_stage_by_stage, tables_1_and_7_totals)
