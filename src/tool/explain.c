#include "model/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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
    struct session *session;
    int class_id;
    struct feature_shape shape;
    float *map; /* [rows][cols] */
};

/* Runs the network on the file. */
static int run_network(struct explain *e, struct error *err)
{
    struct preprocess_report report;
    int code = sessions_create(&e->session, &e->model, 1, 1, err);
    if (code == ERR_OK)
        code = session_decode(e->session, &e->options, e->file.data, e->file.length, &report, err);
    if (code != ERR_OK)
        return code;
    session_put_rgb(e->session, 0);
    session_forward(e->session, 1, NULL, NULL);
    return ERR_OK;
}

static int make_map(struct explain *e, struct error *err)
{
    const char *name = e->class_id_text ? e->class_id_text : e->class;
    struct prediction found;
    int code = run_network(e, err);
    if (code == ERR_OK)
        code = session_find_class(e->session, name, e->class_id_text != NULL, &found, err);
    if (code != ERR_OK)
        return code;
    e->class_id = found.class_id;
    e->shape = explain_shape(e->model->network);
    e->map = calloc((size_t)e->shape.rows * (size_t)e->shape.cols, sizeof *e->map);
    if (!e->map)
        return error_set(err, ERR_NO_MEMORY, "no memory for a map");
    return session_map(e->session, e->class_id, e->map, err);
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
    if (code == ERR_OK && !e->json)
        code = session_draw(e->session, &e->options, e->map, e->file.data, e->file.length, &picture,
                            &length, &err);
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
    sessions_destroy(e->session, 1);
    free(e->file.data);
    return status;
}

static int explain_run(int argc, char **argv)
{
    struct explain e = {0};
    const char *isa = "auto", *precision = DEFAULT_PRECISION;
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
