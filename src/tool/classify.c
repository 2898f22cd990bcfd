#include <stdlib.h>
#include <string.h>

#include "tool/args.h"
#include "tool/output.h"

struct classify {
    bool csv, logits;
    int64_t top_k;
    struct tool *tool;
    const struct model *model;
    struct prediction *predictions; /* [top_k] */
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

static void print_json(const struct classify *c, const struct engine_result *r)
{
    json_t *file = output_json_text(r->file->path), *predictions = predictions_json(c);
    output_json_line(c->logits ? json_pack("{s:o, s:o, s:o}", "file", file, "predictions",
                                           predictions, "logits",
                                           output_json_floats(r->logits, (size_t)c->model->classes))
                               : json_pack("{s:o, s:o}", "file", file, "predictions", predictions));
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

/* Prints softmax scores, which add up to 1, as percentages. */
static void print_score(const struct model *model, float score)
{
    if (model->activation == ACTIVATION_SOFTMAX)
        printf("  %6.2f%%", 100 * (double)score);
    else
        printf("  %7.4f", (double)score);
}

static void print_text(const struct classify *c, const struct engine_result *r)
{
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
    tool_begin_result(c->tool);
    if (result->logits)
        model_top_k(c->model, result->logits, (int)c->top_k, c->predictions);
    if (c->tool->json && !result->logits)
        output_json_failure(result->file->path, &result->error);
    else if (c->tool->json)
        print_json(c, result);
    else if (c->csv)
        print_csv(c, result);
    else if (result->logits)
        print_text(c, result);
    return output_flush();
}

static struct classify classify = {.top_k = 5};

static int check(struct tool *tool, struct error *err)
{
    int standard_inputs = 0;
    for (char **path = tool->operands + 1; *path; path++)
        standard_inputs += strcmp(*path, "-") == 0;
    if (tool->json && classify.csv)
        return error_set(err, ERR_PARAMETER, "--json and --csv exclude each other");
    if (standard_inputs > 1)
        return error_set(err, ERR_PARAMETER, "- (standard input) can be given once");
    return ERR_OK;
}

static int run(struct tool *tool, struct error *err)
{
    struct classify *c = &classify;
    int code = tool_open(tool, err);
    if (code != ERR_OK)
        return code;
    c->tool = tool;
    c->model = tool->model;
    if (c->top_k > c->model->classes)
        c->top_k = c->model->classes;
    c->predictions = calloc((size_t)c->top_k, sizeof *c->predictions);
    if (!c->predictions)
        return error_set(err, ERR_NO_MEMORY, "no memory for %d predictions", (int)c->top_k);
    if (c->csv)
        printf("file,rank,class_id,label,score%s,error\r\n", c->logits ? ",logit" : "");
    tool->prints_failures = tool->json || c->csv;
    code = tool_run_files(tool, &tool->files, take, c, err);
    free(c->predictions);
    return code;
}

const struct command command_classify = {
    .name = "classify",
    .operands = "MODEL FILE|DIR|-...",
    .summary = "Classify JPEG pictures",
    .details =
        "A DIR stands for every *.jpg and *.jpeg below it, - for standard input. Results come "
        "in\nthe order of the operands. A file that fails is reported, and the exit code is "
        "then 1.",
    .shared = OPTION_JSON | OPTION_THREADS | OPTION_ISA | OPTION_PRECISION | OPTION_PICTURES,
    .options = OPTIONS(
        FLAG("csv", classify.csv, "print CSV, one row per prediction"),
        FLAG("logits", classify.logits,
             "also print logits: all of them in JSON, otherwise those of the printed classes"),
        INTEGER("top-k", 'k', classify.top_k, 1, 1000000,
                "maximum number of classes to print, most probable first")),
    .check = check,
    .run = run,
};
