#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/threads.h"
#include "tool/args.h"
#include "tool/engine.h"
#include "tool/output.h"
#include "tool/progress.h"
#include "tool/tool.h"

struct classify {
    bool json, csv, logits;
    int64_t top_k;
    struct engine_options engine;
    const struct model *model;
    struct prediction *predictions; /* [top_k] */
    struct progress progress;
    bool shares_terminal; /* results and the progress bar are on the same screen */
    bool any_failed;
};

static json_t *predictions_json(const struct classify *c)
{
    json_t *array = json_array();
    for (int64_t i = 0; i < c->top_k; i++) {
        const struct prediction *p = &c->predictions[i];
        json_t *one = json_pack("{s:i, s:o, s:o}", "class_id", p->class_id, "label",
                                output_json_text(c->model->labels[p->class_id]), "score",
                                output_json_float(p->score));
        array = output_json_append(array, one);
    }
    return array;
}

static json_t *logits_json(const struct classify *c, const float *logits)
{
    json_t *array = json_array();
    for (int i = 0; i < c->model->classes; i++)
        array = output_json_append(array, output_json_float(logits[i]));
    return array;
}

static void print_json(const struct classify *c, const struct engine_result *r)
{
    json_t *file = output_json_text(r->file->path);
    json_t *line = NULL;
    if (!r->logits)
        line = json_pack("{s:o, s:o}", "file", file, "error", output_json_error(&r->error));
    else if (!c->logits)
        line = json_pack("{s:o, s:o}", "file", file, "predictions", predictions_json(c));
    else
        line = json_pack("{s:o, s:o, s:o}", "file", file, "predictions", predictions_json(c),
                         "logits", logits_json(c, r->logits));
    output_json_line(line);
}

static void print_csv_header(const struct classify *c)
{
    printf("file,rank,class_id,label,score%s,error\r\n", c->logits ? ",logit" : "");
}

static void print_csv(const struct classify *c, const struct engine_result *r)
{
    if (!r->logits) {
        output_csv_field(stdout, r->file->path);
        printf(",,,,%s,", c->logits ? "," : "");
        output_csv_field(stdout, r->error.message);
        printf("\r\n");
        return;
    }
    for (int64_t i = 0; i < c->top_k; i++) {
        const struct prediction *p = &c->predictions[i];
        output_csv_field(stdout, r->file->path);
        printf(",%d,%d,", (int)i + 1, p->class_id);
        output_csv_field(stdout, c->model->labels[p->class_id]);
        printf(",%s", output_float(p->score).text);
        if (c->logits)
            printf(",%s", output_float(r->logits[p->class_id]).text);
        printf(",\r\n");
    }
}

/* Softmax divides a whole, sigmoids do not. */
static void print_score(const struct model *model, float score)
{
    if (model->activation == ACTIVATION_SOFTMAX)
        printf("  %6.2f%%", 100 * (double)score);
    else
        printf("  %7.4f", (double)score);
}

static void print_text(const struct classify *c, const struct engine_result *r)
{
    if (!r->logits) {
        tool_message("%s: %s", r->file->path, r->error.message);
        return;
    }
    tool_plain(stdout, r->file->path);
    putchar('\n');
    for (int64_t i = 0; i < c->top_k; i++) {
        const struct prediction *p = &c->predictions[i];
        print_score(c->model, p->score);
        if (c->logits)
            printf("  %10.4f", (double)r->logits[p->class_id]);
        printf("  %4d  ", p->class_id);
        tool_plain(stdout, c->model->labels[p->class_id]);
        putchar('\n');
    }
}

static bool take(void *context, const struct engine_result *result)
{
    struct classify *c = context;
    bool failed = !result->logits;
    c->any_failed |= failed;
    if (c->shares_terminal || failed)
        progress_clear(&c->progress);
    if (!failed)
        model_top_k(c->model, result->logits, (int)c->top_k, c->predictions);
    if (c->json)
        print_json(c, result);
    else if (c->csv)
        print_csv(c, result);
    else
        print_text(c, result);
    bool go_on = output_flush();
    progress_step(&c->progress, failed);
    return go_on;
}

static int classify_files(struct classify *c, const struct file_list *files)
{
    c->predictions = calloc((size_t)c->top_k, sizeof *c->predictions);
    if (!c->predictions) {
        tool_message("no memory for %d predictions", (int)c->top_k);
        return TOOL_FAILED;
    }
    if (c->csv)
        print_csv_header(c);
    c->shares_terminal = isatty(STDOUT_FILENO);
    progress_start(&c->progress, files->count);
    struct error err;
    int code = engine_run(c->model, files, &c->engine, take, c, &err);
    progress_clear(&c->progress);
    free(c->predictions);
    if (code != ERR_OK)
        tool_message("%s", err.message);
    return code != ERR_OK || c->any_failed ? TOOL_FAILED : TOOL_OK;
}

static int add_operands(struct file_list *files, int count, char **paths)
{
    int standard_inputs = 0;
    struct error err;
    for (int i = 0; i < count; i++) {
        standard_inputs += strcmp(paths[i], "-") == 0;
        if (files_add(files, paths[i], 0, &err) != ERR_OK) {
            tool_message("%s", err.message);
            return TOOL_FAILED;
        }
    }
    if (standard_inputs <= 1)
        return TOOL_OK;
    tool_message("classify: - (standard input) can be given once");
    return TOOL_USAGE;
}

static int classify_run(int argc, char **argv)
{
    enum { MAX_TOP_K = 1000000 };
    struct classify c = {.top_k = 5,
                         .engine = {.threads = thread_cpu_budget(), .pictures = PICTURE_DEFAULTS}};
    const char *isa = "auto", *precision = DEFAULT_PRECISION;
    const struct option_row rows[] = {
        OPTION_JSON(c.json),
        {.name = "csv", .flag = &c.csv, .help = "print CSV, one row a prediction"},
        {.name = "logits",
         .flag = &c.logits,
         .help = "print logits too: all in JSON, else those of the classes shown"},
        {.name = "top-k",
         .letter = 'k',
         .integer = &c.top_k,
         .min = 1,
         .max = MAX_TOP_K,
         .argument = "K",
         .help = "how many of the likeliest classes to print, at most"},
        OPTION_THREADS(c.engine.threads),
        OPTION_ISA(isa),
        OPTION_PRECISION(precision),
        OPTIONS_PICTURES(c.engine.pictures),
    };
    int first, status;
    if (!args_parse(&command_classify, rows, sizeof rows / sizeof rows[0], argc, argv, &first,
                    &status))
        return status;
    if (c.json && c.csv) {
        tool_message("classify: --json and --csv exclude each other");
        return TOOL_USAGE;
    }
    struct file_list files = {0};
    struct model *model = NULL;
    status = add_operands(&files, argc - first - 1, argv + first + 1);
    if (status == TOOL_OK)
        status = tool_open_model(&model, argv[first], isa, precision);
    c.model = model;
    if (status == TOOL_OK && c.top_k > model->classes)
        c.top_k = model->classes;
    if (status == TOOL_OK)
        status = classify_files(&c, &files);
    model_destroy(model);
    files_free(&files);
    return status;
}

const struct command command_classify = {
    .name = "classify",
    .operands = "MODEL FILE|DIR|-...",
    .summary = "Classify JPEG pictures",
    .details =
        "A DIR stands for every *.jpg and *.jpeg below it, - for standard input. Results come "
        "in\nthe order of the operands. A file that fails is reported, and the exit code is "
        "then 1.",
    .min = 2,
    .max = INT_MAX,
    .run = classify_run,
};
