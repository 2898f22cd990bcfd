#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tool/args.h"
#include "tool/ground_truth.h"
#include "tool/multi_label.h"
#include "tool/output.h"

enum { TOP = 5, MATRIX_MAX_CLASSES = 16, CONFUSIONS_SHOWN = 10 };

/* `count` pictures of a class were predicted as another, or as the same. */
struct confusion {
    int class_id, predicted;
    size_t count;
};

struct eval {
    const char *labels; /* path of a table; NULL: folders */
    struct tool *tool;
    const struct model *model;
    bool many; /* a picture may show several classes, each scored by itself */
    struct ground_truth truth;
    size_t next; /* index of the next mark */
    struct multi_label multi_label;
    struct confusion *confusions; /* one per picture, merged at the end */
    size_t confusion_count;
    size_t images, top1, top5;
    size_t recomputed; /* of images, by the model's cascade */
    int64_t elapsed_ns;
};

/* Counts the prediction for a picture that shows one class. */
static void count_prediction(struct eval *e, const float *logits, int truth)
{
    struct prediction best[TOP];
    int k = e->model->classes < TOP ? e->model->classes : TOP;
    model_top_k(e->model, logits, k, best);
    e->top1 += best[0].class_id == truth;
    for (int i = 0; i < k; i++)
        e->top5 += best[i].class_id == truth;
    e->confusions[e->confusion_count++] = (struct confusion){truth, best[0].class_id, 1};
}

/* Results and marks are both in the order of the files. */
static bool take(void *context, const struct engine_result *result)
{
    struct eval *e = context;
    size_t file = (size_t)(result->file - e->truth.files.entries);
    bool *shown =
        result->logits && e->many ? multi_label_add(&e->multi_label, result->logits) : NULL;
    for (; e->next < e->truth.count && e->truth.marks[e->next].file == file; e->next++) {
        int class_id = e->truth.marks[e->next].class_id;
        if (shown)
            shown[class_id] = true;
        else if (result->logits)
            count_prediction(e, result->logits, class_id);
    }
    e->images += result->logits != NULL;
    e->recomputed += result->recomputed;
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

/* Merges the entries of each pair of classes. */
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
    output_json_line(json_pack("{s:I, s:I, s:I, s:f, s:f, s:f, s:o}", "images",
                               (json_int_t)e->images, "failed", (json_int_t)e->tool->failed,
                               "recomputed", (json_int_t)e->recomputed, "top1",
                               fraction(e->top1, e->images), "top5", fraction(e->top5, e->images),
                               "images_per_s", images_per_s(e), "confusion", confusion_json(e)));
}

static json_t *real_or_null(double number)
{
    return isnan(number) ? json_null() : json_real(number);
}

static void print_precision_json(const struct eval *e)
{
    const struct multi_label *m = &e->multi_label;
    json_t *array = json_array();
    for (size_t i = 0; i < m->classes; i++)
        array = output_json_append(
            array, json_pack("{s:I, s:I, s:o}", "class_id", (json_int_t)i, "positives",
                             (json_int_t)m->precisions[i].positives, "average_precision",
                             real_or_null(m->precisions[i].average)));
    output_json_line(json_pack("{s:I, s:I, s:I, s:o, s:I, s:f, s:o}", "images",
                               (json_int_t)e->images, "failed", (json_int_t)e->tool->failed,
                               "recomputed", (json_int_t)e->recomputed, "mean_average_precision",
                               real_or_null(m->mean), "classes_measured", (json_int_t)m->measured,
                               "images_per_s", images_per_s(e), "classes", array));
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
        tool_plain(stdout, e->model->labels[t]);
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
        tool_plain(stdout, e->model->labels[c->class_id]);
        printf(" taken for %d ", c->predicted);
        tool_plain(stdout, e->model->labels[c->predicted]);
        putchar('\n');
    }
}

static void print_images(const struct eval *e)
{
    printf("images   %zu, %zu failed\n", e->images, e->tool->failed);
    if (e->model->exact)
        printf("cascade  %zu computed again in float32 (%.1f%%)\n", e->recomputed,
               100 * fraction(e->recomputed, e->images));
}

static void print_text(const struct eval *e)
{
    print_images(e);
    printf("top-1    %.2f%% (%zu)\n", 100 * fraction(e->top1, e->images), e->top1);
    printf("top-5    %.2f%% (%zu)\n", 100 * fraction(e->top5, e->images), e->top5);
    printf("speed    %.1f images/s\n", images_per_s(e));
    if (e->model->classes <= MATRIX_MAX_CLASSES)
        print_matrix(e);
    else
        print_worst(e);
}

/* Prints one line per class that has pictures. */
static void print_precision_text(const struct eval *e)
{
    const struct multi_label *m = &e->multi_label;
    print_images(e);
    if (m->measured > 0)
        printf("mAP      %.2f%% (of %zu classes, %zu have pictures)\n", 100 * m->mean, m->classes,
               m->measured);
    else
        printf("mAP      none: no picture shows any of the %zu classes\n", m->classes);
    printf("speed    %.1f images/s\n\n average precision  pictures  class\n", images_per_s(e));
    for (size_t i = 0; i < m->classes; i++) {
        if (m->precisions[i].positives == 0)
            continue;
        printf("%17.2f%% %9zu  %zu ", 100 * m->precisions[i].average, m->precisions[i].positives,
               i);
        tool_plain(stdout, e->model->labels[i]);
        putchar('\n');
    }
}

static int report(struct eval *e, struct error *err)
{
    int code = e->many ? multi_label_finish(&e->multi_label, err) : ERR_OK;
    if (code != ERR_OK)
        return code;
    if (!e->many)
        merge_confusions(e);
    if (e->tool->json && e->many)
        print_precision_json(e);
    else if (e->tool->json)
        print_json(e);
    else if (e->many)
        print_precision_text(e);
    else
        print_text(e);
    return ERR_OK;
}

static int read_truth(struct eval *e, const char *root, struct error *err)
{
    struct class_names names;
    int code = class_names_open(&names, e->model, err);
    if (code == ERR_OK && e->labels)
        code = ground_truth_read_table(&e->truth, e->labels, root, &names, e->many, err);
    else if (code == ERR_OK)
        code = ground_truth_read_folders(&e->truth, root, &names, e->many,
                                         (size_t)e->tool->engine.pictures.max_bytes, err);
    class_names_close(&names);
    return code;
}

static int allocate_results(struct eval *e, struct error *err)
{
    size_t files = e->truth.files.count;
    if (e->many)
        return multi_label_create(&e->multi_label, (size_t)e->model->classes, files, err);
    e->confusions = calloc(files, sizeof *e->confusions);
    return e->confusions ? ERR_OK
                         : error_set(err, ERR_NO_MEMORY, "no memory for %zu results", files);
}

static int evaluate(struct eval *e, const char *root, struct error *err)
{
    int code = read_truth(e, root, err);
    if (code == ERR_OK)
        code = allocate_results(e, err);
    if (code != ERR_OK)
        return code;
    int64_t start = clock_monotonic_ns();
    code = tool_run_files(e->tool, &e->truth.files, take, e, err);
    e->elapsed_ns = clock_monotonic_ns() - start;
    return code == ERR_OK ? report(e, err) : code;
}

static struct eval eval;

static int run(struct tool *tool, struct error *err)
{
    struct eval *e = &eval;
    int code = tool_open_model(tool, err);
    if (code != ERR_OK)
        return code;
    const struct model *model = tool->model;
    e->tool = tool;
    e->model = model;
    /* One output with two labels decides between them: each picture shows one class. */
    e->many = model->activation == ACTIVATION_SIGMOID && model->template.classes == model->classes;
    code = evaluate(e, tool->operands[1], err);
    free(e->confusions);
    multi_label_destroy(&e->multi_label);
    ground_truth_free(&e->truth);
    return code;
}

const struct command command_eval = {
    .name = "eval",
    .operands = "MODEL DIR",
    .summary = "Measure accuracy on labelled JPEG pictures",
    .details =
        "DIR has one directory a class, named by label, class id or synset (n01440764), with *.jpg "
        "and *.jpeg\nbelow it; or --labels FILE has lines FILE,CLASS. Of a network that scores "
        "each class by\nitself, a picture may lie in several directories, or have CLASS;CLASS. "
        "Fractions are of the\npictures that could be decoded.",
    .shared = OPTION_JSON | OPTION_THREADS | OPTION_ISA | OPTION_PRECISION | OPTION_PICTURES,
    .options =
        OPTIONS(TEXT("labels", 'l', eval.labels, "FILE",
                     "a CSV file of the pictures in DIR and their classes, instead of folders")),
    .run = run,
};
