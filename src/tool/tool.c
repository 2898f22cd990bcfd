#include "tool/tool.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/threads.h"
#include "base/utf8.h"
#include "tool/args.h"

void tool_plain(FILE *f, const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t n = utf8_length(s);
        if (n == 0 || utf8_is_control(s))
            fputc('?', f);
        else
            fwrite(s, 1, n, f);
        s += n ? n : 1;
    }
}

void tool_message(const char *format, ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&text, format, args);
    va_end(args);
    fputs("resnext: ", stderr);
    tool_plain(stderr, length < 0 ? "no memory for a message" : text);
    fputc('\n', stderr);
    if (length >= 0)
        free(text);
}

bool tool_is_folder(const char *operand)
{
    struct stat st;
    return strchr(operand, '/') || stat(operand, &st) == 0;
}

int tool_find_template(const char *operand, struct template *out, struct error *err)
{
    int code = template_from_name(operand, out, err);
    return code == ERR_OK ? code
                          : error_prefix(err, code, "%s is no folder; as a template", operand);
}

int tool_open_model(struct tool *tool, struct error *err)
{
    return model_load(&tool->model, tool->operands[0], &tool->load, err);
}

int tool_open(struct tool *tool, struct error *err)
{
    int code = ERR_OK;
    for (char **path = tool->operands + 1; code == ERR_OK && *path; path++)
        code = files_add(&tool->files, *path, 0, err);
    return code == ERR_OK ? tool_open_model(tool, err) : code;
}

int tool_open_picture(struct tool *tool, struct session **session, struct file_bytes *file,
                      struct error *err)
{
    const char *path = tool->operands[1];
    int code = tool_open_model(tool, err);
    if (code != ERR_OK)
        return code;
    const struct model *model = tool->model;
    code = sessions_create(session, &model, 1, 1, err);
    if (code == ERR_OK)
        code = picture_decode(*session, &tool->engine.pictures, path, file, err);
    return code == ERR_OK ? code : error_prefix(err, code, "%s", path);
}

struct files_run {
    struct tool *tool;
    engine_sink *sink;
    void *context;
};

static bool take(void *context, const struct engine_result *result)
{
    struct files_run *run = context;
    struct tool *tool = run->tool;
    bool failed = !result->logits;
    tool->failed += failed;
    if (failed && !tool->prints_failures) {
        progress_clear(&tool->progress);
        tool_message("%s: %s", result->file->path, result->error.message);
    }
    bool go_on = !run->sink || run->sink(run->context, result);
    progress_step(&tool->progress, failed);
    return go_on;
}

int tool_run_files(struct tool *tool, const struct file_list *files, engine_sink *sink,
                   void *context, struct error *err)
{
    struct files_run run = {tool, sink, context};
    if (tool->progress.total == 0)
        progress_start(&tool->progress, files->count);
    int code = engine_run(tool->model, files, &tool->engine, take, &run, err);
    progress_clear(&tool->progress);
    return code;
}

void tool_begin_result(struct tool *tool)
{
    if (isatty(STDOUT_FILENO))
        progress_clear(&tool->progress);
}

/* Collects a command's rows: --json, its own, its other shared ones. Returns their number. */
static size_t make_rows(struct tool *tool, const struct command *command, struct option_row *rows)
{
    struct picture_options *pictures = &tool->engine.pictures;
    const struct {
        unsigned option;
        struct option_row row;
    } shared[] = {
        {OPTION_JSON, FLAG("json", tool->json, "print one JSON object per line")},
        {OPTION_THREADS, INTEGER("threads", 't', tool->engine.threads, 1, 1024,
                                 "pictures computed at the same time")},
        {OPTION_ISA,
         CHOICE("isa", tool->isa, kernel_isa_choices, "ISA",
                "ISA of the kernels; ref, plain loops, is slow and serves for comparison; with any "
                "but ref, grouped convolutions in float32 run on OpenBLAS")},
        {OPTION_PRECISION,
         CHOICE("precision", tool->load.precision, precision_names, "NAME",
                "arithmetic; int8 is the fastest and needs the model's calibration.json")},
        {OPTION_PICTURES,
         INTEGER("max-bytes", 0, pictures->max_bytes, 1, INT64_C(1) << 40, "largest file read")},
        {OPTION_PICTURES, INTEGER("max-pixels", 0, pictures->max_pixels, 1, INT64_C(1) << 40,
                                  "largest picture decoded, width x height")},
        {OPTION_PICTURES, CHOICE("exif-orientation", pictures->orientation, exif_orientation_names,
                                 "HOW", "whether a picture is turned by its EXIF orientation")},
        {OPTION_PICTURES, CHOICE("pillow", pictures->pillow, pillow_names, "VERSION",
                                 "version of Pillow whose pixels are reproduced: 13, 12.2 (also "
                                 "12.3) or 9.4 (to 12.1)")},
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++) {
        for (const struct option_row *own = command->options; i == 1 && own && own->name; own++)
            rows[count++] = *own;
        if (command->shared & shared[i].option)
            rows[count++] = shared[i].row;
    }
    return count;
}

/* Parses the command line. If false, the caller returns *status at once. */
static bool parse(struct tool *tool, const struct command *command, int argc, char **argv,
                  int *status)
{
    struct option_row rows[ARGS_MAX_ROWS];
    size_t count = make_rows(tool, command, rows);
    int first;
    struct error err;
    if (!args_parse(command, rows, count, argc, argv, &first, status))
        return false;
    tool->operands = argv + first;
    *status = TOOL_USAGE;
    if (command->check && command->check(tool, &err) != ERR_OK) {
        tool_message("%s: %s", command->name, err.message);
        return false;
    }
    const char *isa = kernel_isa_choices[tool->isa];
    if (kernel_isas_select(isa, &tool->load.isas))
        return true;
    char here[KERNEL_ISAS_TEXT];
    kernel_isas_here(here);
    tool_message("--isa %s: this machine lacks it; it has %s; use one of these, or auto", isa,
                 here);
    return false;
}

int tool_run(const struct command *command, int argc, char **argv)
{
    struct tool tool = {.load.precision = PRECISION_F32,
                        .engine = {.threads = thread_cpu_budget(),
                                   .pictures = {.max_bytes = 64 << 20,
                                                .max_pixels = 100000000,
                                                .orientation = EXIF_APPLY,
                                                .pillow = PILLOW_13}}};
    int status;
    if (!parse(&tool, command, argc, argv, &status))
        return status;
    struct error err;
    int code = command->run(&tool, &err);
    if (code != ERR_OK)
        tool_message("%s", err.message);
    model_destroy(tool.model);
    files_free(&tool.files);
    return code != ERR_OK || tool.failed > 0 ? TOOL_FAILED : TOOL_OK;
}
