#include <endian.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "tool/args.h"
#include "tool/output.h"

struct embed {
    bool normalize;
    struct tool *tool;
    size_t channels;
};

/* The engine's result for a picture is its embedding. */
static int compute(void *context, int thread, struct session *session, float *result,
                   struct error *err)
{
    (void)thread;
    const struct embed *e = context;
    session_forward(session, NULL, NULL);
    return session_embed(session, e->normalize, result, err);
}

static void print_json(const struct embed *e, const struct engine_result *r)
{
    output_json_line(json_pack("{s:o, s:I, s:o}", "file", output_json_text(r->file->path),
                               "dimensions", (json_int_t)e->channels, "embedding",
                               output_json_floats(r->logits, e->channels)));
}

/* A failed file becomes a row of NaN, so that row i always belongs to file i. */
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
    tool_begin_result(e->tool);
    if (e->tool->json && !result->logits)
        output_json_failure(result->file->path, &result->error);
    else if (e->tool->json)
        print_json(e, result);
    else
        write_row(e, result);
    return output_flush();
}

static int check(struct tool *tool, struct error *err)
{
    if (!tool->json && isatty(STDOUT_FILENO))
        return error_set(err, ERR_PARAMETER,
                         "refusing to write raw numbers to a terminal; use --json");
    return ERR_OK;
}

static struct embed embed;

static int run(struct tool *tool, struct error *err)
{
    int code = tool_open(tool, err);
    if (code != ERR_OK)
        return code;
    embed.tool = tool;
    embed.channels = (size_t)explain_shape(tool->model->network).channels;
    tool->engine.compute = compute;
    tool->engine.compute_context = &embed;
    tool->engine.result_length = embed.channels;
    tool->prints_failures = tool->json;
    return tool_run_files(tool, &tool->files, take, &embed, err);
}

const struct command command_embed = {
    .name = "embed",
    .operands = "MODEL FILE|DIR...",
    .summary = "Print the pooled features, for comparing pictures",
    .details =
        "A DIR stands for every *.jpg and *.jpeg below it, sorted by path. Without --json the\n"
        "output is raw float32, little-endian, one row a file; the row of a file that fails\n"
        "is NaN, and the exit code is then 1.",
    .shared = OPTION_JSON | OPTION_THREADS | OPTION_ISA | OPTION_PRECISION | OPTION_PICTURES,
    .options = OPTIONS(FLAG("normalize", embed.normalize, "scale each embedding to length 1")),
    .check = check,
    .run = run,
};
