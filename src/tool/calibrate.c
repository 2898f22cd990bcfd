#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/observer.h"
#include "model/rounder.h"
#include "tool/agreement.h"
#include "tool/args.h"
#include "tool/cascade.h"
#include "tool/output.h"
#include "tool/price.h"

enum { DEFAULT_IMAGES = 1000, FEW_IMAGES = 64 };
enum { PASS_BYTES = 1 << 30 }; /* of a pass that prepares the rounding of weights */

enum rounding { ROUNDING_NEAREST, ROUNDING_LEAST_SQUARES };
static const char *const rounding_names[] = {"nearest", "least-squares", NULL};

struct calibrate {
    const char *pictures, *out, *holdout;
    enum range_method method;
    enum rounding rounding;
    int64_t images;
    double held_out; /* `holdout` as a number */
    const char *promise;
    double promised; /* `promise` as a fraction, of nine decimals; 0: none */
    struct tool *tool;
    struct file_list used, kept; /* for calibration and held out; paths belong to tool->files */
    struct observer *observer;
    struct rounder *rounder;
    struct calibration calibration;
    struct agreement agreement;
    struct price price;
};

/* Takes at most `images` of the files found, evenly spread. Of these it holds out the fraction
 * `held_out`, also evenly spread. */
static int split(struct calibrate *c, struct error *err)
{
    size_t all = c->tool->files.count, max = (size_t)c->images, count = all < max ? all : max;
    struct file_entry *entries = calloc(2 * count, sizeof *entries);
    if (!entries)
        return error_set(err, ERR_NO_MEMORY, "no memory for a list of files");
    c->used.entries = entries;
    c->kept.entries = entries + count;
    for (size_t i = 0; i < count; i++) {
        const struct file_entry *entry = &c->tool->files.entries[i * all / count];
        bool keep = floor((double)(i + 1) * c->held_out) > floor((double)i * c->held_out);
        struct file_list *to = keep ? &c->kept : &c->used;
        to->entries[to->count++] = *entry;
    }
    if (c->used.count == 0)
        return error_set(err, ERR_PARAMETER,
                         "%s: with --holdout %s no picture of %zu is left to "
                         "calibrate on",
                         c->pictures, c->holdout, count);
    return ERR_OK;
}

/* Finds errors in the pictures before the long work. */
static int check_pictures(const struct calibrate *c, struct error *err)
{
    const struct file_list *found = &c->tool->files;
    if (access(c->pictures, R_OK) != 0)
        return error_set(err, ERR_IO, "cannot read %s: %s", c->pictures, strerror(errno));
    if (found->count == 1 && found->entries[0].problem)
        return error_set(err, ERR_PARAMETER, "%s: %s", c->pictures, found->entries[0].problem);
    return ERR_OK;
}

static int check_promise(const struct calibrate *c, struct error *err)
{
    size_t needed = c->promised > 0 ? cascade_images_needed(c->promised) : 0;
    if (c->kept.count >= needed)
        return ERR_OK;
    return error_set(err, ERR_PARAMETER,
                     "--agreement %s needs %zu or more pictures held out, but of %zu with "
                     "--holdout %s there are %zu; take more pictures or a larger --holdout",
                     c->promise, needed, c->used.count + c->kept.count, c->holdout, c->kept.count);
}

static int check_out(const struct calibrate *c, struct error *err)
{
    const char *slash = strrchr(c->out, '/');
    char *folder = slash ? strndup(c->out, (size_t)(slash - c->out) + 1) : strdup(".");
    struct stat st;
    int reason = !folder ? ENOMEM : access(folder, W_OK | X_OK) != 0 ? errno : 0;
    if (reason == 0 && stat(c->out, &st) == 0 && S_ISDIR(st.st_mode))
        reason = EISDIR;
    free(folder);
    return reason == 0 ? ERR_OK
                       : error_set(err, ERR_IO, "cannot write %s: %s; --out FILE is for elsewhere",
                                   c->out, strerror(reason));
}

/* Refuses to replace a calibration by one that is not compared with float32. */
static int check_report(const struct calibrate *c, size_t compared, struct error *err)
{
    if (compared > 0 || access(c->out, F_OK) != 0)
        return ERR_OK;
    return error_set(
        err, ERR_PARAMETER,
        "%s is there and stays: the new one would have no report, since with --holdout "
        "%s none of %zu pictures is compared with float32; take a larger --holdout or "
        "more pictures, write elsewhere with --out, or remove it first",
        c->out, c->holdout, c->used.count + c->kept.count);
}

static void advise(const struct calibrate *c)
{
    size_t count = c->used.count + c->kept.count;
    if (count < FEW_IMAGES)
        tool_message(
            "%s: %zu pictures are few, %d or more of what the network will see make better "
            "scales, and an agreement to rely on",
            c->pictures, count, FEW_IMAGES);
}

static int observe_picture(void *context, int thread, struct session *session, float *result,
                           struct error *err)
{
    struct calibrate *c = context;
    (void)thread;
    (void)result;
    return model_check_logits(c->tool->model, observer_forward(c->observer, session->workspace),
                              err);
}

/* Keeps the pictures that were decoded for the second round, at the front of the list. */
static bool take_first(void *context, const struct engine_result *result)
{
    struct calibrate *c = context;
    if (result->logits)
        c->used.entries[c->calibration.images++] = *result->file;
    return true;
}

/* Shows the pictures that could be read to `compute` once more. All must be readable again. */
static int look_again(struct calibrate *c, engine_compute *compute, struct error *err)
{
    size_t failed = c->tool->failed;
    c->tool->engine.compute = compute;
    c->tool->prints_failures = true; /* the one error below covers them */
    int code = tool_run_files(c->tool, &c->used, NULL, NULL, err);
    c->tool->prints_failures = false;
    if (code == ERR_OK && c->tool->failed != failed)
        code = error_set(err, ERR_IO,
                         "%s: of %d pictures that were read before, %d could be read again; try "
                         "again when nothing changes there and there is memory",
                         c->pictures, c->calibration.images,
                         c->calibration.images - (int)(c->tool->failed - failed));
    return code;
}

static int observe(struct calibrate *c, struct error *err)
{
    c->tool->engine.compute = observe_picture;
    c->tool->engine.compute_context = c;
    c->tool->engine.result_length = 1;
    int code = tool_run_files(c->tool, &c->used, take_first, c, err);
    if (code == ERR_OK && c->calibration.images == 0)
        code =
            error_set(err, ERR_PARAMETER, "%s: there is no picture that can be read", c->pictures);
    c->used.count = (size_t)c->calibration.images;
    if (code == ERR_OK)
        code = observer_second_round(c->observer, err);
    return code == ERR_OK ? look_again(c, observe_picture, err) : code;
}

static int choose(struct calibrate *c, struct error *err)
{
    int images = c->calibration.images;
    int code = observer_choose(c->observer, c->method, &c->calibration, err);
    c->calibration.images = images;
    calibration_bind(&c->calibration, c->tool->model->sha256, c->tool->model->preprocess.mean,
                     c->tool->model->preprocess.std);
    observer_destroy(c->observer); /* its histograms are large */
    c->observer = NULL;
    return code;
}

/* FNV-1a. */
static uint64_t hash(const uint8_t *bytes, size_t count)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3;
    return hash;
}

static int round_picture(void *context, int thread, struct session *session, float *result,
                         struct error *err)
{
    const struct calibrate *c = context;
    (void)result;
    (void)err;
    rounder_forward(c->rounder, (size_t)thread, session->workspace,
                    hash(session->rgb, model_input_numbers(c->tool->model)));
    return ERR_OK;
}

/* Rounds the weights by least squares. */
static int round_weights(struct calibrate *c, struct error *err)
{
    const struct model *model = c->tool->model;
    int code = rounder_create(&c->rounder, model, &c->calibration, PASS_BYTES,
                              (size_t)c->tool->engine.threads, err);
    for (size_t i = 0; code == ERR_OK && i < rounder_passes(model->network, PASS_BYTES); i++) {
        code = rounder_begin(c->rounder, err);
        if (code == ERR_OK)
            code = look_again(c, round_picture, err);
        if (code == ERR_OK)
            code = rounder_choose(c->rounder, err);
    }
    rounder_destroy(c->rounder);
    return code;
}

/* How many times each picture to calibrate on is run. */
static size_t count_passes(const struct calibrate *c)
{
    return 2 + (c->rounding == ROUNDING_LEAST_SQUARES
                    ? rounder_passes(c->tool->model->network, PASS_BYTES)
                    : 0);
}

/* Chooses the cascade that holds the promise. */
static int keep_promise(struct calibrate *c, const struct model *quantized, struct error *err)
{
    const struct model *exact = c->tool->model;
    int code = cascade_choose(exact, c->agreement.logits, c->agreement.images, c->promised,
                              &c->calibration.cascade, err);
    return code == ERR_OK ? price_measure(quantized->network, exact->network, &c->price, err)
                          : error_prefix(err, code, "--agreement %s", c->promise);
}

/* Compares int8 with the new scales to float32, on the pictures held out. */
static int compare(struct calibrate *c, const char *folder, struct error *err)
{
    struct model *quantized;
    const struct model_options options = {
        .isas = c->tool->load.isas, .precision = PRECISION_INT8, .calibration = &c->calibration};
    int code = model_load(&quantized, folder, &options, err);
    if (code != ERR_OK)
        return code;
    code = agreement_measure(c->tool, quantized, &c->kept, &c->agreement, err);
    if (code == ERR_OK && c->promised > 0)
        code = keep_promise(c, quantized, err);
    model_destroy(quantized);
    return code;
}

static int measure(struct calibrate *c, const char *folder, struct error *err)
{
    const struct network *network = c->tool->model->network;
    advise(c);
    int code = observer_create(&c->observer, network, err);
    progress_start(&c->tool->progress, count_passes(c) * c->used.count + c->kept.count);
    if (code == ERR_OK)
        code = observe(c, err);
    if (code == ERR_OK)
        code = choose(c, err);
    if (code == ERR_OK && c->rounding == ROUNDING_LEAST_SQUARES)
        code = round_weights(c, err);
    if (code == ERR_OK && c->kept.count > 0)
        code = compare(c, folder, err);
    if (code == ERR_OK)
        code = check_report(c, c->agreement.images, err);
    if (code == ERR_OK)
        code = calibration_write(&c->calibration, network_layer(network, 0),
                                 network_layer_count(network), c->out, err);
    return code;
}

static const char *label_of(const struct calibrate *c, size_t i)
{
    return layer_label(network_layer(c->tool->model->network, i));
}

static json_t *layers_json(const struct calibrate *c)
{
    json_t *array = json_array();
    for (size_t i = 0; i < network_layer_count(c->tool->model->network); i++)
        if (!isnan(c->agreement.decibels[i]))
            array = output_json_append(array, json_pack("{s:s, s:f}", "name", label_of(c, i),
                                                        "snr_db", c->agreement.decibels[i]));
    return array;
}

static bool has_sigmoids(const struct calibrate *c)
{
    return c->tool->model->activation == ACTIVATION_SIGMOID;
}

static void print_promise(const struct calibrate *c)
{
    const struct cascade *cascade = &c->calibration.cascade;
    char price[PRICE_TEXT];
    printf("agreement   %.9g %%: ", 100 * c->promised);
    if (cascade->margin == 0) {
        printf("int8 alone keeps it\n");
        return;
    }
    printf("pictures that int8 decides by less than %.3g are computed again in float32, %.1f %% of "
           "those held out\n",
           cascade->margin, 100 * cascade->fraction);
    price_text(&c->price, cascade, price);
    printf("price       %s\n", price);
}

static void print_json(const struct calibrate *c)
{
    const struct agreement *a = &c->agreement;
    const struct cascade *cascade = &c->calibration.cascade;
    bool any = a->images > 0;
    output_json_line(json_pack(
        "{s:o, s:s, s:s, s:i, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "file",
        output_json_text(c->out), "method", c->calibration.method, "rounding",
        rounding_names[c->rounding], "images", c->calibration.images, "held_out",
        (json_int_t)a->images, "failed", (json_int_t)c->tool->failed,
        has_sigmoids(c) ? "decision_agreement" : "top1_agreement",
        any ? json_real(a->decisions) : json_null(), "cosine",
        any ? json_real(a->cosine) : json_null(), "least_cosine",
        any ? json_real(a->min_cosine) : json_null(), "agreement",
        c->promised > 0 ? json_real(c->promised) : json_null(), "cascade", cascade_json(cascade),
        "price", cascade->margin > 0 ? price_json(&c->price, cascade) : json_null(), "layers",
        any ? layers_json(c) : json_null()));
}

static void print_text(const struct calibrate *c)
{
    const struct agreement *a = &c->agreement;
    if (a->images > 0) {
        printf("%-24s %s\n", "layer", "signal to noise");
        for (size_t i = 0; i < network_layer_count(c->tool->model->network); i++)
            if (!isnan(a->decibels[i]))
                printf("%-24s %8.1f dB\n", label_of(c, i), a->decibels[i]);
        printf("\nheld out    %zu pictures: %s as float32 in %.2f %%; cosine of "
               "logits %.4f, least %.4f\n",
               a->images,
               has_sigmoids(c) ? "the same classes at 0.5 or more" : "the same top class",
               100 * a->decisions, a->cosine, a->min_cosine);
    }
    if (c->promised > 0)
        print_promise(c);
    printf("calibrated  on %d pictures, method %s, rounding %s\nwritten     ",
           c->calibration.images, c->calibration.method, rounding_names[c->rounding]);
    tool_plain(stdout, c->out);
    putchar('\n');
}

static struct calibrate calibrate = {.method = RANGE_MSE,
                                     .rounding = ROUNDING_LEAST_SQUARES,
                                     .holdout = "0.5",
                                     .images = DEFAULT_IMAGES};

/* The number that a text is; NaN if it is none. */
static double number_of(const char *text)
{
    char *end;
    double number = strtod(text, &end);
    return end != text && *end == '\0' ? number : NAN;
}

static int check(struct tool *tool, struct error *err)
{
    (void)tool;
    struct calibrate *c = &calibrate;
    c->held_out = number_of(c->holdout);
    c->promised = c->promise ? rint(number_of(c->promise) * 1e7) / 1e9 : 0;
    if (!(c->held_out >= 0 && c->held_out < 1))
        return error_set(err, ERR_PARAMETER, "--holdout %s: not a fraction of 0 to below 1",
                         c->holdout);
    if (c->promise && !(c->promised > 0.5 && c->promised < 1))
        return error_set(err, ERR_PARAMETER,
                         "--agreement %s: not a percentage above 50 and below 100; only float32 "
                         "itself always agrees with float32",
                         c->promise);
    return ERR_OK;
}

/* Opens and checks everything before the network runs. */
static int prepare(struct calibrate *c, const char *folder, struct error *err)
{
    struct model_options exact = {.precision = PRECISION_F32};
    kernel_isas_select("auto", &exact.isas);
    int code = files_add(&c->tool->files, c->pictures, 0, err);
    if (code == ERR_OK)
        code = check_pictures(c, err);
    if (code == ERR_OK)
        code = split(c, err);
    if (code == ERR_OK)
        code = model_load(&c->tool->model, folder, &exact, err);
    if (code == ERR_OK)
        code = check_promise(c, err);
    if (code == ERR_OK)
        code = check_out(c, err);
    return code == ERR_OK ? check_report(c, c->kept.count, err) : code;
}

static int run(struct tool *tool, struct error *err)
{
    struct calibrate *c = &calibrate;
    char beside[PATH_MAX];
    if (snprintf(beside, sizeof beside, "%s/calibration.json", tool->operands[0]) >= PATH_MAX)
        return error_set(err, ERR_PARAMETER, "the model's path is too long");
    c->tool = tool;
    c->pictures = tool->operands[1];
    c->out = c->out ? c->out : beside;
    int code = prepare(c, tool->operands[0], err);
    if (code == ERR_OK)
        code = measure(c, tool->operands[0], err);
    if (code == ERR_OK && tool->json)
        print_json(c);
    else if (code == ERR_OK)
        print_text(c);
    agreement_destroy(&c->agreement);
    calibration_destroy(&c->calibration);
    observer_destroy(c->observer);
    free(c->used.entries);
    return code;
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
    .shared = OPTION_JSON | OPTION_THREADS | OPTION_ISA | OPTION_PICTURES,
    .options = OPTIONS(
        CHOICE("method", calibrate.method, range_method_names, "METHOD",
               "how ranges are chosen: all values, all but 0.01 %, or least mean square error"),
        CHOICE("rounding", calibrate.rounding, rounding_names, "HOW",
               "how weights are rounded: each to the nearest, or together by least squares"),
        INTEGER("images", 'n', calibrate.images, 1, 1000000,
                "how many pictures to use of those found, evenly spread"),
        TEXT("holdout", 0, calibrate.holdout, "FRACTION",
             "fraction of these held out for the report"),
        TEXT("agreement", 0, calibrate.promise, "PERCENT",
             "how often int8 shall decide as float32 does: pictures that it decides by too little "
             "are then computed again in float32"),
        TEXT("out", 'o', calibrate.out, "FILE", "what to write (default MODEL/calibration.json)")),
    .check = check,
    .run = run,
};
