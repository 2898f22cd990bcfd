#include <endian.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/threads.h"
#include "tool/args.h"
#include "tool/engine.h"
#include "tool/output.h"
#include "tool/progress.h"
#include "tool/tool.h"

struct embed {
    bool json, normalize;
    struct engine_options engine;
    size_t channels;
    struct progress progress;
    bool any_failed;
};

/* The engine's result for a picture is its embedding. */
static int compute(void *context, int thread, struct session *session, float *result,
                   struct error *err)
{
    (void)thread;
    const struct embed *e = context;
    session_forward(session, 1, NULL, NULL);
    return session_embed(session, e->normalize, result, err);
}

static void print_json(const struct embed *e, const struct engine_result *r)
{
    json_t *file = output_json_text(r->file->path), *values = json_array();
    if (!r->logits) {
        json_decref(values);
        output_json_line(
            json_pack("{s:o, s:o}", "file", file, "error", output_json_error(&r->error)));
        return;
    }
    for (size_t i = 0; i < e->channels; i++)
        values = output_json_append(values, output_json_float(r->logits[i]));
    output_json_line(json_pack("{s:o, s:I, s:o}", "file", file, "dimensions",
                               (json_int_t)e->channels, "embedding", values));
}

/* A failed file is a row of NaN, so that rows and files stay in step. */
static void write_row(const struct embed *e, const struct engine_result *r)
{
    for (size_t i = 0; i < e->channels; i++) {
        float number = r->logits ? r->logits[i] : NAN;
        uint32_t bits;
        memcpy(&bits, &number, sizeof bits);
        bits = htole32(bits);
        fwrite(&bits, sizeof bits, 1, stdout);
    }
}

static bool take(void *context, const struct engine_result *result)
{
    struct embed *e = context;
    bool failed = !result->logits;
    e->any_failed |= failed;
    progress_clear(&e->progress);
    if (failed && !e->json)
        tool_message("%s: %s", result->file->path, result->error.message);
    if (e->json)
        print_json(e, result);
    else
        write_row(e, result);
    bool go_on = output_flush();
    progress_step(&e->progress, failed);
    return go_on;
}

static int embed_files(struct embed *e, const struct model *model, const struct file_list *files)
{
    struct error err;
    e->channels = (size_t)explain_shape(model->network).channels;
    e->engine.compute = compute;
    e->engine.compute_context = e;
    e->engine.result_length = e->channels;
    progress_start(&e->progress, files->count);
    int code = engine_run(model, files, &e->engine, take, e, &err);
    progress_clear(&e->progress);
    if (code != ERR_OK)
        tool_message("%s", err.message);
    return code != ERR_OK || e->any_failed ? TOOL_FAILED : TOOL_OK;
}

static int add_operands(struct file_list *files, int count, char **paths)
{
    struct error err;
    for (int i = 0; i < count; i++)
        if (files_add(files, paths[i], 0, &err) != ERR_OK) {
            tool_message("%s", err.message);
            return TOOL_FAILED;
        }
    return TOOL_OK;
}

static int embed_run(int argc, char **argv)
{
    struct embed e = {.engine = {.threads = thread_cpu_budget(), .pictures = PICTURE_DEFAULTS}};
    const char *isa = "auto", *precision = DEFAULT_PRECISION;
    const struct option_row rows[] = {
        OPTION_JSON(e.json),
        {.name = "normalize", .flag = &e.normalize, .help = "scale each embedding to length 1"},
        OPTION_THREADS(e.engine.threads),
        OPTION_ISA(isa),
        OPTION_PRECISION(precision),
        OPTIONS_PICTURES(e.engine.pictures),
    };
    int first, status;
    if (!args_parse(&command_embed, rows, sizeof rows / sizeof rows[0], argc, argv, &first,
                    &status))
        return status;
    if (!e.json && isatty(STDOUT_FILENO)) {
        tool_message("embed: raw numbers on the terminal are of no use: give --json");
        return TOOL_USAGE;
    }
    struct file_list files = {0};
    struct model *model = NULL;
    status = add_operands(&files, argc - first - 1, argv + first + 1);
    if (status == TOOL_OK)
        status = tool_open_model(&model, argv[first], isa, precision);
    if (status == TOOL_OK)
        status = embed_files(&e, model, &files);
    model_destroy(model);
    files_free(&files);
    return status;
}

const struct command command_embed = {
    .name = "embed",
    .operands = "MODEL FILE|DIR...",
    .summary = "Print the features that the network sees, to compare pictures by",
    .details =
        "A DIR stands for every *.jpg and *.jpeg below it, sorted by path. Without --json the\n"
        "output is raw float32, little-endian, one row a file; the row of a file that fails\n"
        "is NaN, and the exit code is then 1.",
    .min = 2,
    .max = INT_MAX,
    .run = embed_run,
};
