#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tool/output.h"
#include "tool/tool.h"

enum { MAX_ROWS = TEMPLATE_MAX_STAGES + 2, MAX_DEPTH = 4, LAYERS_WIDTH = 48 };

/* One row of the paper's Table 1: the stem, a stage, or the head. */
struct row {
    char name[16];
    int output;      /* edge of its output map */
    char before[64]; /* layers before the blocks; "" if there are none */
    char block[MAX_DEPTH][64];
    int depth, blocks; /* convolutions and attention of a block; number of blocks */
    int64_t parameters, multiply_adds;
};

/* The output of `info`, for a model folder or a template. */
struct info {
    struct template template;
    char template_name[TEMPLATE_NAME_MAX];
    const struct model *model; /* NULL for a template */
    enum activation activation;
    int classes;
    struct kernel_isas isas;
    enum precision precision;
    struct row rows[MAX_ROWS];
    size_t row_count;
    int64_t parameters, multiply_adds;
    struct network_summary kernels;
    struct cascade cascade;
};

/* Channels of a convolution, from the least to the most of its stage's blocks. */
struct range {
    int least, most;
};

static void widen(struct range *range, int channels)
{
    if (range->least == 0 || channels < range->least)
        range->least = channels;
    if (channels > range->most)
        range->most = channels;
}

static void describe_conv(struct row *row, int kernel, struct range channels, int cardinality)
{
    char *out = row->block[row->depth++], most[16] = "", paths[16] = "";
    if (channels.most > channels.least)
        snprintf(most, sizeof most, "-%d", channels.most);
    if (cardinality > 1)
        snprintf(paths, sizeof paths, ", C=%d", cardinality);
    snprintf(out, sizeof row->block[0], "%dx%d, %d%s%s", kernel, kernel, channels.least, most,
             paths);
}

static void describe_attention(const struct template *t, const struct stage *s, struct row *row)
{
    static const char *const names[] = {
        [ATTENTION_SE] = "SE", [ATTENTION_ESE] = "ESE", [ATTENTION_ECA] = "ECA"};
    if (t->attention == ATTENTION_NONE)
        return;
    char *out = row->block[row->depth++];
    int used = snprintf(out, sizeof row->block[0], "%s", names[t->attention]);
    if (s->attention)
        snprintf(out + used, sizeof row->block[0] - (size_t)used, ", %d", s->attention);
}

/* Appends to what runs before a stage's blocks, or in the first of them. */
static void add_before(struct row *row, const char *text)
{
    size_t used = strlen(row->before);
    snprintf(row->before + used, sizeof row->before - used, "%s%s", used ? "; " : "", text);
}

static void describe_pool(const struct template *t, struct row *row)
{
    if (t->stem_pool == STEM_POOL_CONV)
        snprintf(row->before, sizeof row->before, "3x3, %d, stride 2", t->stem_channels);
    else if (t->antialias == ANTIALIAS_AVG)
        add_before(row, "2x2 average pool, stride 2");
    else if (t->antialias == ANTIALIAS_BLUR)
        add_before(row, "3x3 max pool; 3x3 blur, stride 2");
    else if (t->stem_pool == STEM_POOL_CEIL)
        add_before(row, "3x3 max pool, stride 2, no padding");
    else
        add_before(row, "3x3 max pool, stride 2");
}

/* How the first block halves the map, unless it does so by its 3x3 and a 1x1 shortcut. */
static void describe_halving(const struct template *t, const struct stage *s, struct row *row)
{
    if (t->antialias == ANTIALIAS_AVG)
        add_before(row, "aa: 2x2 average pool");
    else if (t->antialias == ANTIALIAS_BLUR)
        add_before(row, "aa: 3x3 blur");
    else if (t->stride_first && s->block == BLOCK_BOTTLENECK)
        add_before(row, "stride on the 1x1");
    if (t->down == DOWN_AVG)
        add_before(row, "shortcut: 2x2 average pool");
    else if (s->down_kernel == 3)
        add_before(row, "shortcut: 3x3");
}

static void describe_stage(const struct template *t, int i, struct row *row)
{
    const struct stage *s = &t->stages[i];
    bool bottleneck = s->block == BLOCK_BOTTLENECK;
    struct range reduced = {0}, width = {0};
    for (int block = 0; block < s->blocks; block++) {
        widen(&reduced, s->widths[block].reduced);
        widen(&width, s->widths[block].width);
    }
    snprintf(row->name, sizeof row->name, "conv%d", i + 2);
    if (i > 0)
        describe_halving(t, s, row);
    else if (t->stem != STEM_CIFAR)
        describe_pool(t, row);
    if (bottleneck)
        describe_conv(row, 1, reduced, 1);
    describe_conv(row, 3, width, s->cardinality);
    describe_conv(row, bottleneck ? 1 : 3, (struct range){s->out, s->out}, 1);
    describe_attention(t, s, row);
    row->blocks = s->blocks;
}

static void describe_stem(const struct template *t, struct row *row)
{
    snprintf(row->name, sizeof row->name, "conv1");
    if (t->stem == STEM_DEEP)
        snprintf(row->before, sizeof row->before, "3x3, %d, stride 2; 3x3, %d; 3x3, %d",
                 t->stem_widths[0], t->stem_widths[1], t->stem_channels);
    else
        snprintf(row->before, sizeof row->before,
                 t->stem == STEM_IMAGENET ? "7x7, %d, stride 2" : "3x3, %d", t->stem_channels);
}

static void describe_rows(struct info *info)
{
    const struct template *t = &info->template;
    struct row *head = &info->rows[t->stage_count + 1];
    describe_stem(t, &info->rows[0]);
    for (int i = 0; i < t->stage_count; i++)
        describe_stage(t, i, &info->rows[i + 1]);
    snprintf(head->name, sizeof head->name, "head");
    snprintf(head->before, sizeof head->before, "global average pool, %d-d fc, %s", t->classes,
             activation_name(info->activation));
    info->row_count = (size_t)t->stage_count + 2;
}

/* The row of a layer. `row` is the row of the layer before it. */
static size_t row_of(const struct info *info, const struct layer *layer, size_t row)
{
    int stage;
    if (layer->kind == LAYER_GLOBAL_POOL || layer->kind == LAYER_LINEAR)
        return info->row_count - 1;
    if (layer->kind == LAYER_MAX_POOL || strncmp(layer->name, "maxpool", 7) == 0)
        return 1;
    if (sscanf(layer->name, "layer%d.", &stage) == 1)
        row = (size_t)stage;
    CHECK(row < info->row_count);
    return row;
}

static void add_layer(struct info *info, const struct layer *layer, size_t row)
{
    struct row *r = &info->rows[row];
    r->output = layer->shape.out_h;
    r->parameters += layer_parameters(layer);
    r->multiply_adds += layer_multiply_adds(layer);
    info->parameters += layer_parameters(layer);
    info->multiply_adds += layer_multiply_adds(layer);
    if (layer_has_kernel(layer))
        network_summary_add(&info->kernels, kernel_conv(info->isas, info->precision, &layer->shape),
                            &layer->shape);
}

static int fill(struct info *info, struct error *err)
{
    struct layer *layers;
    size_t count, row = 0;
    int code = template_layers(&info->template, &layers, &count, err);
    if (code != ERR_OK)
        return code;
    describe_rows(info);
    for (size_t i = 0; i < count; i++) {
        row = row_of(info, &layers[i], row);
        add_layer(info, &layers[i], row);
    }
    free(layers);
    return ERR_OK;
}

static const char *interpolation_name(const struct preprocess_spec *p)
{
    return p->interpolation == INTERPOLATION_BICUBIC ? "bicubic" : "bilinear";
}

static json_t *preprocess_json(const struct preprocess_spec *p)
{
    return json_pack("{s:i, s:i, s:s, s:s, s:s, s:o, s:o}", "size", p->size, "resize", p->resize,
                     "interpolation", interpolation_name(p), "crop_mode",
                     p->crop_mode == CROP_SQUASH ? "squash" : "center", "crop_offset",
                     p->crop_offset == CROP_OFFSET_FLOOR ? "floor" : "even", "mean",
                     output_json_floats(p->mean, 3), "std", output_json_floats(p->std, 3));
}

/* The layers of a row in one line: "3x3 max pool, stride 2; [1x1, 128 / 3x3, 128, C=32 / 1x1, 256]
 * x 3". */
static json_t *layers_json(const struct row *r)
{
    char block[MAX_DEPTH * sizeof r->block[0]] = "";
    for (int i = 0; i < r->depth; i++)
        snprintf(block + strlen(block), sizeof block - strlen(block), "%s%s", i ? " / " : "",
                 r->block[i]);
    if (r->depth == 0)
        return json_string(r->before);
    return json_sprintf("%s%s[%s] x %d", r->before, *r->before ? "; " : "", block, r->blocks);
}

static json_t *row_json(const struct row *r)
{
    return json_pack("{s:s, s:i, s:o, s:I, s:I}", "name", r->name, "output_size", r->output,
                     "layers", layers_json(r), "parameters", (json_int_t)r->parameters,
                     "multiply_adds", (json_int_t)r->multiply_adds);
}

static json_t *rows_json(const struct info *info)
{
    json_t *array = json_array();
    for (size_t i = 0; i < info->row_count; i++)
        array = output_json_append(array, row_json(&info->rows[i]));
    return array;
}

static void print_json(const struct info *info)
{
    const struct model *model = info->model;
    output_json_line(json_pack(
        "{s:s, s:b, s:I, s:I, s:i, s:s, s:s?, s:i, s:s, s:o, s:o, s:s?, s:o, s:o}", "template",
        info->template_name, "variant_assumed", model && model->variant_is_assumed, "parameters",
        (json_int_t)info->parameters, "multiply_adds", (json_int_t)info->multiply_adds, "classes",
        info->classes, "activation", activation_name(info->activation), "labels",
        model ? label_source_name(model->label_source) : NULL, "input_size",
        info->template.input_size, "precision", precision_name(info->precision), "cascade",
        cascade_json(&info->cascade), "kernels", output_json_kernels(&info->kernels), "sha256",
        model ? model->sha256 : NULL, "preprocess",
        model ? preprocess_json(&model->preprocess) : json_null(), "stages", rows_json(info)));
}

static void print_line(const char *name, const char *output, const char *layers,
                       const char *parameters, const char *multiply_adds)
{
    printf("%-6s %8s  ", name, output);
    if (*parameters)
        printf("%-*s %12s %15s\n", LAYERS_WIDTH, layers, parameters, multiply_adds);
    else
        printf("%s\n", layers);
}

static int longest(const struct row *r)
{
    size_t length = 0;
    for (int i = 0; i < r->depth; i++)
        length = strlen(r->block[i]) > length ? strlen(r->block[i]) : length;
    return (int)length;
}

/* Prints one layer per line, those of a block in brackets, as in the paper. The numbers are on the
 * last line. */
static void print_row(const struct row *r)
{
    char output[24], parameters[32], multiply_adds[32], line[LAYERS_WIDTH + 1], times[16];
    snprintf(output, sizeof output, "%dx%d", r->output, r->output);
    output_grouped(r->parameters, parameters);
    output_grouped(r->multiply_adds, multiply_adds);
    if (*r->before)
        print_line(r->name, output, r->before, r->depth ? "" : parameters,
                   r->depth ? "" : multiply_adds);
    snprintf(times, sizeof times, " x %d", r->blocks);
    for (int i = 0; i < r->depth; i++) {
        bool first = i == 0 && !*r->before, last = i == r->depth - 1;
        snprintf(line, sizeof line, "[ %-*s ]%s", longest(r), r->block[i],
                 i == r->depth / 2 ? times : "");
        print_line(first ? r->name : "", first ? output : "", line, last ? parameters : "",
                   last ? multiply_adds : "");
    }
}

static void print_table(const struct info *info)
{
    char parameters[32], multiply_adds[32];
    output_grouped(info->parameters, parameters);
    output_grouped(info->multiply_adds, multiply_adds);
    putchar('\n');
    print_line("stage", "output", "layers", "parameters", "multiply-adds");
    for (size_t i = 0; i < info->row_count; i++)
        print_row(&info->rows[i]);
    print_line("total", "", "", parameters, multiply_adds);
    snprintf(parameters, sizeof parameters, "%.1f x 10^6", (double)info->parameters / 1e6);
    snprintf(multiply_adds, sizeof multiply_adds, "%.1f x 10^9", (double)info->multiply_adds / 1e9);
    print_line("", "", "", parameters, multiply_adds);
}

static void print_model(const struct model *model)
{
    const struct preprocess_spec *p = &model->preprocess;
    printf("pictures   %s, %s to %d, crop %d%s; mean %.4g %.4g %.4g, std %.4g %.4g %.4g\n",
           interpolation_name(p), p->crop_mode == CROP_SQUASH ? "both edges" : "short edge",
           p->resize, p->size, p->crop_offset == CROP_OFFSET_FLOOR ? " (offset rounded down)" : "",
           (double)p->mean[0], (double)p->mean[1], (double)p->mean[2], (double)p->std[0],
           (double)p->std[1], (double)p->std[2]);
    printf("sha256     %s\n", model->sha256);
}

static void print_labels(const struct model *model)
{
    printf(": ");
    tool_plain(stdout, model->labels[0]);
    if (model->classes > 1) {
        printf(" ... ");
        tool_plain(stdout, model->labels[model->classes - 1]);
    }
    if (model->label_source == LABELS_OF_IMAGENET)
        printf(" (nothing names them; taken for ImageNet's, since they are %d)", model->classes);
    else if (model->label_source == LABELS_NUMBERED)
        printf(" (nothing names them)");
    else
        printf(" (%s)", label_source_name(model->label_source));
}

static void print_text(const struct info *info)
{
    char kernels[NETWORK_SUMMARY_TEXT], cascade[CASCADE_TEXT];
    printf("template   %s%s\n", info->template_name,
           info->model && info->model->variant_is_assumed
               ? " (config.json names no architecture; taken for one without anti-aliasing)"
               : "");
    printf("input      %dx%d\n", info->template.input_size, info->template.input_size);
    printf("classes    %d", info->classes);
    if (info->model)
        print_labels(info->model);
    printf("\nscores     %s\n", activation_name(info->activation));
    printf("precision  %s\n", precision_name(info->precision));
    cascade_text(&info->cascade, cascade);
    if (info->cascade.margin > 0)
        printf("cascade    %s\n", cascade);
    network_summary_text(&info->kernels, kernels);
    printf("kernels    %s\n", kernels);
    if (info->model)
        print_model(info->model);
    print_table(info);
}

static void describe_model(struct info *info, const struct model *model)
{
    info->model = model;
    info->precision = model->precision;
    info->cascade = model->cascade;
    info->activation = model->activation;
    info->classes = model->classes;
    info->template = model->template;
    memcpy(info->template_name, model->template_name, sizeof info->template_name);
}

static int describe_template(struct info *info, const struct tool *tool, const char *name,
                             struct error *err)
{
    int code = tool_find_template(name, &info->template, err);
    if (code != ERR_OK)
        return code;
    template_name(&info->template, info->template_name);
    info->classes = info->template.classes;
    info->activation = info->classes == 1 ? ACTIVATION_SIGMOID : ACTIVATION_SOFTMAX;
    info->precision = tool->load.precision;
    return ERR_OK;
}

static int run(struct tool *tool, struct error *err)
{
    struct info info = {.isas = tool->load.isas};
    bool is_folder = tool_is_folder(tool->operands[0]);
    int code = is_folder ? tool_open_model(tool, err)
                         : describe_template(&info, tool, tool->operands[0], err);
    if (code == ERR_OK && is_folder)
        describe_model(&info, tool->model);
    if (code == ERR_OK)
        code = fill(&info, err);
    if (code == ERR_OK && tool->json)
        print_json(&info);
    else if (code == ERR_OK)
        print_text(&info);
    return code;
}

const struct command command_info = {
    .name = "info",
    .operands = "MODEL|TEMPLATE",
    .summary = "Show a network: stages, parameters, multiply-adds, kernels",
    .details = "MODEL is a folder with model.safetensors and config.json.\n" TEMPLATE_GRAMMAR_HELP,
    .shared = OPTION_JSON | OPTION_ISA | OPTION_PRECISION,
    .run = run,
};
