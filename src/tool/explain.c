#include "nn/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "image/overlay.h"
#include "tool/args.h"
#include "tool/files.h"
#include "tool/output.h"
#include "tool/pictures.h"
#include "tool/tool.h"

struct explain {
    bool json;
    const char *class, *class_id_text, *out;
    struct preprocess_options options;
    const struct model *model;
    struct file_bytes file;
    struct workspace *workspace;
    int class_id;
    struct feature_shape shape;
    float *map; /* [rows][cols] */
};

/* Runs the network on the file. */
static int run_network(struct explain *e, const float **logits, struct error *err)
{
    const struct preprocess_spec *spec = &e->model->preprocess;
    size_t size = (size_t)spec->size;
    struct preprocessor *p = NULL;
    struct preprocess_report report;
    uint8_t *rgb = malloc(size * size * 3); /* size is at most 4096 */
    int code = rgb ? preprocessor_create(&p, err)
                   : error_set(err, ERR_NO_MEMORY, "no memory for a picture");
    if (code == ERR_OK)
        code =
            preprocessor_run(p, spec, &e->options, e->file.data, e->file.length, rgb, &report, err);
    if (code == ERR_OK)
        code = workspace_create(&e->workspace, e->model->network, 1, err);
    if (code == ERR_OK) {
        model_put_image(e->model, e->workspace, 0, rgb);
        *logits = network_forward(e->model->network, e->workspace, 1);
    }
    preprocessor_destroy(p);
    free(rgb);
    return code;
}

static int make_map(struct explain *e, struct error *err)
{
    const float *logits;
    struct prediction best;
    int code = run_network(e, &logits, err);
    if (code == ERR_OK)
        code = model_check_logits(e->model, logits, err);
    if (code != ERR_OK)
        return code;
    model_top_k(e->model, logits, 1, &best);
    e->class_id = best.class_id;
    if (e->class_id_text)
        code = model_find_class_id(e->model, e->class_id_text, &e->class_id, err);
    else if (e->class)
        code = model_find_class(e->model, e->class, &e->class_id, err);
    if (code != ERR_OK)
        return code;
    e->shape = explain_shape(e->model->network);
    e->map = calloc((size_t)e->shape.rows * (size_t)e->shape.cols, sizeof *e->map);
    if (!e->map)
        return error_set(err, ERR_NO_MEMORY, "no memory for a map");
    return explain_class(e->model->network, e->workspace, 0, e->class_id, e->map, err);
}

static void print_json(const struct explain *e, const char *path)
{
    json_t *values = json_array();
    for (int i = 0; i < e->shape.rows * e->shape.cols; i++)
        values = output_json_append(values, output_json_float(e->map[i]));
    output_json_line(json_pack("{s:o, s:i, s:o, s:{s:i, s:i, s:o}}", "file", output_json_text(path),
                               "class_id", e->class_id, "label",
                               output_json_text(e->model->labels[e->class_id]), "grid", "rows",
                               e->shape.rows, "cols", e->shape.cols, "values", values));
}

static int explain_file(struct explain *e, const char *path, int64_t max_bytes)
{
    struct error err;
    uint8_t *picture = NULL;
    size_t length = 0;
    int code = files_read(path, (size_t)max_bytes, &e->file, &err);
    if (code == ERR_OK)
        code = make_map(e, &err);
    if (code == ERR_OK && !e->json) {
        const struct overlay_grid grid = {e->shape.rows, e->shape.cols, e->map};
        code = overlay_draw(&e->model->preprocess, &e->options, &grid, e->file.data, e->file.length,
                            &picture, &length, &err);
    }
    int status = TOOL_OK;
    if (code != ERR_OK) {
        tool_message("%s: %s", path, err.message);
        status = TOOL_FAILED;
    } else if (e->json) {
        print_json(e, path);
    } else {
        status = output_bytes(e->out, "", picture, length);
    }
    free(picture);
    free(e->map);
    workspace_destroy(e->workspace);
    free(e->file.data);
    return status;
}

static int explain_run(int argc, char **argv)
{
    struct explain e = {0};
    unsigned isa = 0;
    enum precision precision = PRECISION_F32;
    struct picture_options pictures = PICTURE_DEFAULTS;
    const struct option_row rows[] = {
        {.name = "class",
         .letter = 'c',
         .text = &e.class,
         .argument = "CLASS",
         .help = "label, or else id, of the class to explain, instead of the likeliest"},
        {.name = "class-id",
         .text = &e.class_id_text,
         .argument = "ID",
         .help = "its id, where labels are numbers too"},
        {.name = "out",
         .letter = 'o',
         .text = &e.out,
         .argument = "OUT.jpg",
         .help = "write this file instead of standard output"},
        OPTION_JSON(e.json),
        OPTION_ISA(isa),
        OPTION_PRECISION(precision),
        OPTIONS_PICTURES(pictures),
    };
    int first, status;
    if (!args_parse(&command_explain, rows, sizeof rows / sizeof rows[0], argc, argv, &first,
                    &status))
        return status;
    if (e.json && e.out) {
        tool_message("explain: --json and --out exclude each other");
        return TOOL_USAGE;
    }
    if (e.class && e.class_id_text) {
        tool_message("explain: --class and --class-id exclude each other");
        return TOOL_USAGE;
    }
    if (!e.json && !e.out && isatty(STDOUT_FILENO)) {
        tool_message("explain: a picture on the terminal is of no use: give --out or --json");
        return TOOL_USAGE;
    }
    struct model *model;
    status = tool_open_model(&model, argv[first], isa, precision);
    if (status != TOOL_OK)
        return status;
    e.model = model;
    e.options = picture_preprocess_options(&pictures);
    status = explain_file(&e, argv[first + 1], pictures.max_bytes);
    model_destroy(model);
    return status;
}

const struct command command_explain = {
    .name = "explain",
    .operands = "MODEL FILE",
    .summary = "Show which parts of a picture speak for a class",
    .details = "FILE is a JPEG, - for standard input. The result is the picture with the class\n"
               "activation map over it, as JPEG, or with --json the map's numbers.",
    .min = 2,
    .max = 2,
    .run = explain_run,
};
