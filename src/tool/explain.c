#include "model/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tool/args.h"
#include "tool/output.h"

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

static int show(struct explain *e, const char *path, struct error *err)
{
    if (e->json) {
        print_json(e, path);
        return ERR_OK;
    }
    uint8_t *picture = NULL;
    size_t length = 0;
    int code = session_draw(e->session, &e->options, e->map, e->file.data, e->file.length, &picture,
                            &length, err);
    code = code == ERR_OK ? output_bytes(e->out, "", picture, length, err)
                          : error_prefix(err, code, "%s", path);
    free(picture);
    return code;
}

static int explain_file(struct explain *e, const char *path, int64_t max_bytes, struct error *err)
{
    int code = files_read(path, (size_t)max_bytes, &e->file, err);
    if (code == ERR_OK)
        code = make_map(e, err);
    code = code == ERR_OK ? show(e, path, err) : error_prefix(err, code, "%s", path);
    free(e->map);
    sessions_destroy(e->session, 1);
    free(e->file.data);
    return code;
}

static struct explain explain;

static int check(struct tool *tool, struct error *err)
{
    if (tool->json && explain.out)
        return error_set(err, ERR_PARAMETER, "--json and --out exclude each other");
    if (explain.class && explain.class_id_text)
        return error_set(err, ERR_PARAMETER, "--class and --class-id exclude each other");
    if (!tool->json && !explain.out && isatty(STDOUT_FILENO))
        return error_set(err, ERR_PARAMETER,
                         "a picture on the terminal is of no use: give --out or --json");
    return ERR_OK;
}

static int run(struct tool *tool, struct error *err)
{
    int code = tool_open_model(tool, err);
    if (code != ERR_OK)
        return code;
    explain.json = tool->json;
    explain.model = tool->model;
    explain.options = picture_preprocess_options(&tool->engine.pictures);
    return explain_file(&explain, tool->operands[1], tool->engine.pictures.max_bytes, err);
}

static const struct option_row options[] = {
    TEXT("class", 'c', explain.class, "CLASS",
         "label, or else id, of the class to explain, instead of the likeliest"),
    TEXT("class-id", 0, explain.class_id_text, "ID", "its id, where labels are numbers too"),
    TEXT("out", 'o', explain.out, "OUT.jpg", "write this file instead of standard output"),
};

const struct command command_explain = {
    .name = "explain",
    .operands = "MODEL FILE",
    .summary = "Show which parts of a picture speak for a class",
    .details = "FILE is a JPEG, - for standard input. The result is the picture with the class\n"
               "activation map over it, as JPEG, or with --json the map's numbers.",
    .min = 2,
    .max = 2,
    .shared = OPTION_JSON | OPTION_ISA | OPTION_PRECISION | OPTION_PICTURES,
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .check = check,
    .run = run,
};
