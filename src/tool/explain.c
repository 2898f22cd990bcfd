#include <stdlib.h>
#include <unistd.h>

#include "tool/args.h"
#include "tool/output.h"

struct explain {
    const char *class, *class_id_text, *out;
    struct file_bytes file;
    struct session *session;
    struct prediction found;
    struct feature_shape shape;
    float *map; /* [rows][cols] */
};

static int make_map(struct explain *e, struct error *err)
{
    const char *name = e->class_id_text ? e->class_id_text : e->class;
    session_put_rgb(e->session, 0);
    session_forward(e->session, NULL, NULL);
    int code = session_find_class(e->session, name, e->class_id_text != NULL, &e->found, err);
    if (code != ERR_OK)
        return code;
    e->shape = explain_shape(e->session->model->network);
    e->map = calloc((size_t)e->shape.rows * (size_t)e->shape.cols, sizeof *e->map);
    if (!e->map)
        return error_set(err, ERR_NO_MEMORY, "no memory for a map");
    return session_map(e->session, e->found.class_id, e->map, err);
}

static void print_json(const struct explain *e, const char *path)
{
    int class_id = e->found.class_id;
    json_t *label = output_json_text(e->session->model->labels[class_id]);
    size_t count = (size_t)e->shape.rows * (size_t)e->shape.cols;
    output_json_line(json_pack("{s:o, s:i, s:o, s:{s:i, s:i, s:o}}", "file", output_json_text(path),
                               "class_id", class_id, "label", label, "grid", "rows", e->shape.rows,
                               "cols", e->shape.cols, "values", output_json_floats(e->map, count)));
}

static int write_picture(const struct explain *e, const struct tool *tool, struct error *err)
{
    const struct preprocess_options options = picture_preprocess_options(&tool->engine.pictures);
    uint8_t *picture = NULL;
    size_t length = 0;
    int code = session_draw(e->session, &options, e->map, e->file.data, e->file.length, &picture,
                            &length, err);
    code = code == ERR_OK ? output_bytes(e->out, "", picture, length, err)
                          : error_prefix(err, code, "%s", tool->operands[1]);
    free(picture);
    return code;
}

static int explain_file(struct explain *e, const struct tool *tool, struct error *err)
{
    const char *path = tool->operands[1];
    int code = make_map(e, err);
    if (code != ERR_OK)
        return error_prefix(err, code, "%s", path);
    if (!tool->json)
        return write_picture(e, tool, err);
    print_json(e, path);
    return ERR_OK;
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
                         "refusing to write a picture to a terminal; use --out or --json");
    return ERR_OK;
}

static int run(struct tool *tool, struct error *err)
{
    struct explain *e = &explain;
    int code = tool_open_picture(tool, &e->session, &e->file, err);
    if (code == ERR_OK)
        code = explain_file(e, tool, err);
    free(e->map);
    sessions_destroy(e->session, 1);
    free(e->file.data);
    return code;
}

const struct command command_explain = {
    .name = "explain",
    .operands = "MODEL FILE",
    .summary = "Show which parts of a picture speak for a class",
    .details = "FILE is a JPEG, - for standard input. The result is the picture with the class\n"
               "activation map over it, as JPEG, or with --json the map's numbers.",
    .shared = OPTION_JSON | OPTION_ISA | OPTION_PRECISION | OPTION_PICTURES,
    .options = OPTIONS(
        TEXT("class", 'c', explain.class, "CLASS",
             "label, or else id, of the class to explain, instead of the most probable one"),
        TEXT("class-id", 0, explain.class_id_text, "ID", "its id, where labels are numbers too"),
        TEXT("out", 'o', explain.out, "OUT.jpg", "write this file instead of standard output")),
    .check = check,
    .run = run,
};
