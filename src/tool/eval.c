#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/threads.h"
#include "tool/args.h"
#include "tool/engine.h"
#include "tool/output.h"
#include "tool/progress.h"
#include "tool/tool.h"

enum { TOP = 5, MATRIX_MAX_CLASSES = 16, CONFUSIONS_SHOWN = 10 };

/* A class and what it was taken for; `count` pictures. */
struct confusion {
    int class_id, predicted;
    size_t count;
};

struct eval {
    bool json;
    struct engine_options engine;
    const struct model *model;
    struct confusion *confusions; /* first one a picture, then merged */
    size_t confusion_count;
    size_t images, failed, top1, top5;
    int64_t elapsed_ns;
    struct progress progress;
};

/* The class that a directory is named after: a label, or else a class id. Labels may occur twice
 * (ImageNet has two cranes): only the id tells those apart. */
static int class_of_directory(const struct model *model, const char *name, int *class_id,
                              struct error *err)
{
    int rc = model_find_class(model, name, class_id, err);
    return rc == ERR_OK ? ERR_OK : error_prefix(err, rc, "directory %s", name);
}

static int add_class(const struct model *model, struct file_list *files, const char *root,
                     const char *name, struct error *err)
{
    char *path;
    if (asprintf(&path, "%s/%s", root, name) < 0)
        return error_set(err, ERR_NO_MEMORY, "no memory for a path");
    struct stat st;
    int rc = ERR_OK, class_id = -1;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        rc = class_of_directory(model, name, &class_id, err);
        if (rc == ERR_OK)
            rc = files_add(files, path, class_id, err);
    }
    free(path);
    return rc;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int bytewise(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Every picture of DIR with its class; files directly in DIR have none and are passed over. */
static int collect(const struct model *model, struct file_list *files, const char *root,
                   struct error *err)
{
    struct dirent **names;
    int count = scandir(root, &names, visible, bytewise);
    if (count < 0)
        return error_set(err, ERR_IO, "cannot read directory %s: %s", root, strerror(errno));
    int rc = ERR_OK;
    for (int i = 0; i < count; i++) {
        if (rc == ERR_OK)
            rc = add_class(model, files, root, names[i]->d_name, err);
        free(names[i]);
    }
    free(names);
    if (rc == ERR_OK && files->count == 0)
        rc =
            error_set(err, ERR_IO, "%s: there are no directories named by label or class id", root);
    return rc;
}

static bool take(void *context, const struct engine_result *result)
{
    struct eval *e = context;
    bool failed = !result->logits;
    if (failed) {
        e->failed++;
        progress_clear(&e->progress);
        tool_message("%s: %s", result->file->path, result->error.message);
    } else {
        struct prediction best[TOP];
        int k = e->model->classes < TOP ? e->model->classes : TOP;
        int truth = result->file->class_id;
        model_top_k(e->model, result->logits, k, best);
        e->images++;
        e->top1 += best[0].class_id == truth;
        for (int i = 0; i < k; i++)
            e->top5 += best[i].class_id == truth;
        e->confusions[e->confusion_count++] = (struct confusion){truth, best[0].class_id, 1};
    }
    progress_step(&e->progress, failed);
    return true;
}

static int by_classes(const void *a, const void *b)
{
    const struct confusion *x = a, *y = b;
    int difference = x->class_id - y->class_id;
    return difference ? difference : x->predicted - y->predicted;
}

static int by_count(const void *a, const void *b)
{
    const struct confusion *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : by_classes(a, b);
}

/* From one entry a picture to one a pair of classes. */
static void merge_confusions(struct eval *e)
{
    size_t merged = 0;
    qsort(e->confusions, e->confusion_count, sizeof *e->confusions, by_classes);
    for (size_t i = 0; i < e->confusion_count; i++) {
        struct confusion *last = merged ? &e->confusions[merged - 1] : NULL;
        if (last && by_classes(last, &e->confusions[i]) == 0)
            last->count++;
        else
            e->confusions[merged++] = e->confusions[i];
    }
    e->confusion_count = merged;
}

static double fraction(size_t part, size_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

static double images_per_s(const struct eval *e)
{
    return (double)e->images / (clock_ns_to_s(e->elapsed_ns) + 1e-9);
}

static json_t *confusion_json(const struct eval *e)
{
    json_t *array = json_array();
    for (size_t i = 0; i < e->confusion_count; i++) {
        const struct confusion *c = &e->confusions[i];
        json_t *one = json_pack("{s:i, s:i, s:I}", "class_id", c->class_id, "predicted",
                                c->predicted, "count", (json_int_t)c->count);
        array = output_json_append(array, one);
    }
    return array;
}

static void print_json(const struct eval *e)
{
    output_json_line(json_pack("{s:I, s:I, s:f, s:f, s:f, s:o}", "images", (json_int_t)e->images,
                               "failed", (json_int_t)e->failed, "top1",
                               fraction(e->top1, e->images), "top5", fraction(e->top5, e->images),
                               "images_per_s", images_per_s(e), "confusion", confusion_json(e)));
}

static size_t matrix_count(const struct eval *e, int class_id, int predicted)
{
    const struct confusion key = {class_id, predicted, 0};
    const struct confusion *c =
        bsearch(&key, e->confusions, e->confusion_count, sizeof key, by_classes);
    return c ? c->count : 0;
}

/* Rows are the true classes, columns the predictions. */
static void print_matrix(const struct eval *e)
{
    printf("\nconfusion (row: true class, column: prediction)\n%6s", "");
    for (int p = 0; p < e->model->classes; p++)
        printf("%7d", p);
    putchar('\n');
    for (int t = 0; t < e->model->classes; t++) {
        printf("%6d", t);
        for (int p = 0; p < e->model->classes; p++)
            printf("%7zu", matrix_count(e, t, p));
        printf("  ");
        output_plain(stdout, e->model->labels[t]);
        putchar('\n');
    }
}

static void print_worst(const struct eval *e)
{
    int shown = 0;
    qsort(e->confusions, e->confusion_count, sizeof *e->confusions, by_count);
    for (size_t i = 0; i < e->confusion_count && shown < CONFUSIONS_SHOWN; i++) {
        const struct confusion *c = &e->confusions[i];
        if (c->class_id == c->predicted)
            continue;
        if (shown++ == 0)
            printf("\nmost frequent confusions\n");
        printf("%7zu  %d ", c->count, c->class_id);
        output_plain(stdout, e->model->labels[c->class_id]);
        printf(" taken for %d ", c->predicted);
        output_plain(stdout, e->model->labels[c->predicted]);
        putchar('\n');
    }
}

static void print_text(const struct eval *e)
{
    printf("images   %zu, %zu failed\n", e->images, e->failed);
    printf("top-1    %.2f%% (%zu)\n", 100 * fraction(e->top1, e->images), e->top1);
    printf("top-5    %.2f%% (%zu)\n", 100 * fraction(e->top5, e->images), e->top5);
    printf("speed    %.1f images/s\n", images_per_s(e));
    if (e->model->classes <= MATRIX_MAX_CLASSES)
        print_matrix(e);
    else
        print_worst(e);
}

static int evaluate(struct eval *e, const char *root, struct error *err)
{
    struct file_list files = {0};
    int rc = collect(e->model, &files, root, err);
    if (rc != ERR_OK)
        goto done;
    e->confusions = calloc(files.count, sizeof *e->confusions);
    if (!e->confusions) {
        rc = error_set(err, ERR_NO_MEMORY, "no memory for %zu results", files.count);
        goto done;
    }
    progress_start(&e->progress, files.count);
    int64_t start = clock_monotonic_ns();
    rc = engine_run(e->model, &files, &e->engine, take, e, err);
    e->elapsed_ns = clock_monotonic_ns() - start;
    progress_clear(&e->progress);
    if (rc != ERR_OK)
        goto done;
    merge_confusions(e);
    if (e->json)
        print_json(e);
    else
        print_text(e);
done:
    free(e->confusions);
    files_free(&files);
    return rc;
}

static int eval_run(int argc, char **argv)
{
    struct eval e = {.engine = {.threads = thread_cpu_budget(), .pictures = PICTURE_DEFAULTS}};
    const char *isa = "auto", *precision = "auto";
    const struct option_row rows[] = {
        OPTION_JSON(e.json),         OPTION_THREADS(e.engine.threads),    OPTION_ISA(isa),
        OPTION_PRECISION(precision), OPTIONS_PICTURES(e.engine.pictures),
    };
    int first, status;
    if (!args_parse(&command_eval, rows, sizeof rows / sizeof rows[0], argc, argv, &first, &status))
        return status;
    struct model *model;
    status = tool_open_model(&model, argv[first], isa, precision);
    if (status != TOOL_OK)
        return status;
    e.model = model;
    struct error err;
    if (evaluate(&e, argv[first + 1], &err) != ERR_OK) {
        tool_message("%s", err.message);
        status = TOOL_FAILED;
    }
    model_destroy(model);
    return e.failed > 0 ? TOOL_FAILED : status;
}

const struct command command_eval = {
    .name = "eval",
    .operands = "MODEL DIR",
    .summary = "Measure accuracy on a tree of labelled JPEG pictures",
    .details = "DIR has one directory a class, named by label or class id, with *.jpg and *.jpeg "
               "below it.\nFractions are of the pictures that could be decoded.",
    .least = 2,
    .most = 2,
    .run = eval_run,
};
