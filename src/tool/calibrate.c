#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/threads.h"
#include "model/observer.h"
#include "tool/agreement.h"
#include "tool/args.h"
#include "tool/engine.h"
#include "tool/output.h"
#include "tool/progress.h"
#include "tool/tool.h"

enum { DEFAULT_IMAGES = 1000, FEW_IMAGES = 64 };

struct calibrate {
    bool json;
    const char *folder, *pictures, *out, *method, *holdout;
    int64_t images;
    struct engine_options engine;
    struct kernel_isas isas;
    struct file_list found;         /* owns the paths */
    struct file_list watched, kept; /* of those, what is calibrated on and what is held out */
    size_t failed;
    int seen_again; /* in the second round */
    struct model *exact;
    struct observer *observer;
    struct calibration calibration;
    struct agreement agreement;
    struct progress progress;
};

/* As many as `images` of those found, evenly spread; of these, as large a part as `holdout`, evenly
 * spread too, is held out. */
static int split(struct calibrate *c, double holdout, struct error *err)
{
    size_t all = c->found.count, max = (size_t)c->images, count = all < max ? all : max;
    c->watched.entries = calloc(count, sizeof *c->watched.entries);
    c->kept.entries = calloc(count, sizeof *c->kept.entries);
    if (!c->watched.entries || !c->kept.entries)
        return error_set(err, ERR_NO_MEMORY, "no memory for a list of files");
    for (size_t i = 0; i < count; i++) {
        const struct file_entry *entry = &c->found.entries[i * all / count];
        bool keep = floor((double)(i + 1) * holdout) > floor((double)i * holdout);
        struct file_list *to = keep ? &c->kept : &c->watched;
        to->entries[to->count++] = *entry;
    }
    if (c->watched.count == 0)
        return error_set(err, ERR_PARAMETER,
                         "%s: with --holdout %s no picture of %zu is left to "
                         "calibrate on",
                         c->pictures, c->holdout, count);
    return ERR_OK;
}

static void advise(const struct calibrate *c)
{
    size_t count = c->watched.count + c->kept.count;
    if (count < FEW_IMAGES)
        tool_message(
            "%s: %zu pictures are few, %d or more of what the network will see make better "
            "scales, and an agreement to rely on",
            c->pictures, count, FEW_IMAGES);
}

static int watch(void *context, int thread, const uint8_t *rgb, struct workspace *workspace,
                 float *result, struct error *err)
{
    struct calibrate *c = context;
    (void)thread;
    (void)rgb;
    (void)result;
    return model_check_logits(c->exact, observer_forward(c->observer, workspace), err);
}

/* The second round sees the same pictures: they move to the front, where those before were taken.
 */
static bool take_first(void *context, const struct engine_result *result)
{
    struct calibrate *c = context;
    bool failed = !result->logits;
    if (failed) {
        progress_clear(&c->progress);
        tool_message("%s: %s", result->file->path, result->error.message);
        c->failed++;
    } else {
        c->watched.entries[c->calibration.images++] = *result->file;
    }
    progress_step(&c->progress, failed);
    return true;
}

static bool take_again(void *context, const struct engine_result *result)
{
    struct calibrate *c = context;
    bool failed = !result->logits;
    c->seen_again += !failed;
    progress_step(&c->progress, failed);
    return true;
}

static int observe(struct calibrate *c, struct error *err)
{
    struct engine_options options = c->engine;
    options.compute = watch;
    options.compute_context = c;
    options.result_length = 1;
    int code = engine_run(c->exact, &c->watched, &options, take_first, c, err);
    if (code == ERR_OK && c->calibration.images == 0)
        code =
            error_set(err, ERR_PARAMETER, "%s: there is no picture that can be read", c->pictures);
    c->watched.count = (size_t)c->calibration.images;
    if (code == ERR_OK)
        code = observer_second_round(c->observer, err);
    if (code == ERR_OK)
        code = engine_run(c->exact, &c->watched, &options, take_again, c, err);
    if (code == ERR_OK && c->seen_again != c->calibration.images)
        code =
            error_set(err, ERR_IO,
                      "%s: of %d pictures that were read once, %d could be read a second time; try "
                      "again when nothing changes there and there is memory",
                      c->pictures, c->calibration.images, c->seen_again);
    return code;
}

static int choose(struct calibrate *c, struct error *err)
{
    enum range_method method = 0;
    int images = c->calibration.images;
    while (strcmp(range_method_name(method), c->method) != 0)
        method++;
    int code = observer_choose(c->observer, method, &c->calibration, err);
    c->calibration.images = images;
    calibration_bind(&c->calibration, c->exact->sha256, c->exact->preprocess.mean,
                     c->exact->preprocess.std);
    return code;
}

/* int8 with the new scales against float32, on what was held out. */
static int compare(struct calibrate *c, struct error *err)
{
    struct model *quantized;
    const struct model_options options = {
        .isas = c->isas, .precision = "int8", .calibration = &c->calibration};
    int code = model_load(&quantized, c->folder, &options, err);
    if (code != ERR_OK)
        return code;
    code = agreement_measure(c->exact, quantized, &c->kept, &c->engine, &c->progress, &c->agreement,
                             err);
    c->failed += c->kept.count - c->agreement.images;
    model_destroy(quantized);
    return code;
}

static int calibrate(struct calibrate *c, struct error *err)
{
    advise(c);
    int code = observer_create(&c->observer, c->exact->network, err);
    progress_start(&c->progress, 2 * c->watched.count + c->kept.count);
    if (code == ERR_OK)
        code = observe(c, err);
    if (code == ERR_OK)
        code = choose(c, err);
    if (code == ERR_OK && c->kept.count > 0)
        code = compare(c, err);
    progress_clear(&c->progress);
    if (code != ERR_OK)
        return code;
    const struct network *network = c->exact->network;
    return calibration_write(&c->calibration, network_layer(network, 0),
                             network_layer_count(network), c->out, err);
}

static const char *label_of(const struct calibrate *c, size_t i)
{
    return layer_label(network_layer(c->exact->network, i));
}

static json_t *layers_json(const struct calibrate *c)
{
    json_t *array = json_array();
    for (size_t i = 0; i < network_layer_count(c->exact->network); i++)
        array = output_json_append(array, json_pack("{s:s, s:f}", "name", label_of(c, i), "snr_db",
                                                    c->agreement.decibels[i]));
    return array;
}

/* The JSON field of agreement.decisions. */
static const char *agreement_name(const struct calibrate *c)
{
    return c->exact->activation == ACTIVATION_SIGMOID ? "decision_agreement" : "top1_agreement";
}

static void print_json(const struct calibrate *c)
{
    const struct agreement *a = &c->agreement;
    bool any = a->images > 0;
    output_json_line(json_pack("{s:o, s:s, s:i, s:I, s:I, s:o, s:o, s:o, s:o}", "file",
                               output_json_text(c->out), "method", c->calibration.method, "images",
                               c->calibration.images, "held_out", (json_int_t)a->images, "failed",
                               (json_int_t)c->failed, agreement_name(c),
                               any ? json_real(a->decisions) : json_null(), "cosine",
                               any ? json_real(a->cosine) : json_null(), "least_cosine",
                               any ? json_real(a->min_cosine) : json_null(), "layers",
                               any ? layers_json(c) : json_null()));
}

static void print_text(const struct calibrate *c)
{
    const struct agreement *a = &c->agreement;
    if (a->images > 0) {
        printf("%-24s %s\n", "layer", "signal to noise");
        for (size_t i = 0; i < network_layer_count(c->exact->network); i++)
            printf("%-24s %8.1f dB\n", label_of(c, i), a->decibels[i]);
        printf("\nheld out    %zu pictures: %s as float32 in %.2f %%; cosine of "
               "logits %.4f, least %.4f\n",
               a->images,
               c->exact->activation == ACTIVATION_SIGMOID ? "the same classes at 0.5 or more"
                                                          : "the same top class",
               100 * a->decisions, a->cosine, a->min_cosine);
    }
    printf("calibrated  on %d pictures, method %s\nwritten     ", c->calibration.images,
           c->calibration.method);
    tool_plain(stdout, c->out);
    putchar('\n');
}

static int run(struct calibrate *c, double holdout)
{
    struct error err;
    int status = tool_open_model(&c->exact, c->folder, "auto", "f32");
    if (status != TOOL_OK)
        return status;
    int code = files_add(&c->found, c->pictures, 0, &err);
    if (code == ERR_OK)
        code = split(c, holdout, &err);
    if (code == ERR_OK)
        code = calibrate(c, &err);
    if (code == ERR_OK && c->json)
        print_json(c);
    else if (code == ERR_OK)
        print_text(c);
    else
        tool_message("%s", err.message);
    agreement_destroy(&c->agreement);
    calibration_destroy(&c->calibration);
    observer_destroy(c->observer);
    model_destroy(c->exact);
    free(c->watched.entries);
    free(c->kept.entries);
    files_free(&c->found);
    return code != ERR_OK || c->failed > 0 ? TOOL_FAILED : TOOL_OK;
}

/* --holdout: a fraction, 0 to below 1. */
static bool read_fraction(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && *out >= 0 && *out < 1;
}

static int calibrate_run(int argc, char **argv)
{
    const char *methods[RANGE_METHOD_COUNT + 1] = {NULL};
    for (enum range_method m = 0; m < RANGE_METHOD_COUNT; m++)
        methods[m] = range_method_name(m);
    struct calibrate c = {.method = range_method_name(RANGE_MSE),
                          .holdout = "0.5",
                          .images = DEFAULT_IMAGES,
                          .engine = {.threads = thread_cpu_budget(), .pictures = PICTURE_DEFAULTS}};
    const char *isa = "auto";
    char beside[PATH_MAX];
    double holdout;
    const struct option_row rows[] = {
        OPTION_JSON(c.json),
        {.name = "method",
         .text = &c.method,
         .choices = methods,
         .argument = "METHOD",
         .help = "how ranges are chosen: all values, all but 0.01 %, or least mean square error"},
        {.name = "images",
         .letter = 'n',
         .integer = &c.images,
         .min = 1,
         .max = 1000000,
         .argument = "N",
         .help = "how many pictures to use of those found, evenly spread"},
        {.name = "holdout",
         .text = &c.holdout,
         .argument = "FRACTION",
         .help = "part of these to compare int8 with float32 on, instead"},
        {.name = "out",
         .letter = 'o',
         .text = &c.out,
         .argument = "FILE",
         .help = "what to write (default MODEL/calibration.json)"},
        OPTION_THREADS(c.engine.threads),
        OPTION_ISA(isa),
        OPTIONS_PICTURES(c.engine.pictures),
    };
    int first, status;
    if (!args_parse(&command_calibrate, rows, sizeof rows / sizeof rows[0], argc, argv, &first,
                    &status))
        return status;
    status = tool_isas(isa, &c.isas);
    if (status != TOOL_OK)
        return status;
    if (!read_fraction(c.holdout, &holdout)) {
        tool_message("calibrate: --holdout %s: not a fraction of 0 to below 1", c.holdout);
        return TOOL_USAGE;
    }
    c.folder = argv[first];
    c.pictures = argv[first + 1];
    if (!c.out && snprintf(beside, sizeof beside, "%s/calibration.json", c.folder) >= PATH_MAX) {
        tool_message("calibrate: the model's path is too long");
        return TOOL_USAGE;
    }
    c.out = c.out ? c.out : beside;
    return run(&c, holdout);
}

const struct command command_calibrate = {
    .name = "calibrate",
    .operands = "MODEL DIR",
    .summary = "Measure on pictures what int8 needs, and write MODEL/calibration.json",
    .details =
        "DIR has JPEGs such as the network will see, at any depth; a few hundred are enough. "
        "They need no labels.\nThe report compares int8 with float32 on the pictures held "
        "out: each layer's signal to noise, the top\nclass, and the cosine of the logits "
        "less their mean.",
    .min = 2,
    .max = 2,
    .run = calibrate_run,
};
