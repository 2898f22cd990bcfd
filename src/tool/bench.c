#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/threads.h"
#include "tool/args.h"
#include "tool/measure.h"
#include "tool/output.h"
#include "tool/price.h"
#include "tool/random_model.h"
#include "tool/statistics.h"

enum { DEFAULT_SECONDS = 3 };

struct bench {
    const char *operand;
    const char *images;                       /* a folder of JPEGs; NULL: random input */
    int64_t workers, threads, batch, seconds; /* options; threads, seconds: 0 if not given */
    struct measure_options options;
    struct tool *tool;
    const struct model *model;
    struct fma_peak peak;   /* of `peak_threads` threads */
    int peak_threads;       /* threads, at most one per CPU */
    struct measure measure; /* with sorted samples */
    struct statistics batch_ns;
    struct price price; /* of the model's cascade */
};

static double per_image_ms(const struct bench *b, double batch_ns)
{
    return batch_ns / 1e6 / b->options.batch;
}

/* Milliseconds per image, from the sum over all samples. */
static double mean_ms(const struct bench *b, int64_t sum_ns)
{
    return per_image_ms(b, (double)sum_ns / (double)b->measure.count);
}

static double gflops(const struct bench *b)
{
    return 2e-9 * (double)b->model->multiply_adds * b->measure.images_per_s;
}

/* With those of a shortcut that the layer computes too. */
static int64_t multiply_adds(const struct bench *b, size_t i)
{
    const struct layer *shortcut = network_shortcut(b->model->network, i);
    return layer_multiply_adds(network_layer(b->model->network, i)) +
           (shortcut ? layer_multiply_adds(shortcut) : 0);
}

/* Whether a layer takes time of its own. */
static bool runs(const struct bench *b, size_t i)
{
    return network_has_value(b->model->network, (int)i + 1);
}

/* The rate of one worker in the layer. */
static double layer_gflops(const struct bench *b, size_t i)
{
    double images = (double)b->measure.count * b->options.batch;
    return 2 * (double)multiply_adds(b, i) * images / (double)(b->measure.layers[i].total_ns + 1);
}

static double layer_share_of_peak(const struct bench *b, size_t i)
{
    return layer_gflops(b, i) / (b->peak.gflops / b->peak_threads);
}

static const char *kernel_name(const struct network *network, size_t i)
{
    const struct conv_kernel *kernel = network_kernel(network, i);
    if (kernel)
        return kernel->name;
    return layer_is_attention(network_layer(network, i)) ? "attention" : "pool";
}

static json_t *layer_json(const struct bench *b, size_t i)
{
    const struct layer *layer = network_layer(b->model->network, i);
    const struct layer_time *time = &b->measure.layers[i];
    const struct conv_shape *s = &layer->shape;
    return json_pack("{s:s, s:s, s:[i,i,i], s:[i,i,i], s:i, s:i, s:i, s:I, s:f, s:f, s:f, s:f}",
                     "name", layer_label(layer), "kernel", kernel_name(b->model->network, i),
                     "input", s->in_h, s->in_w, s->in_c, "output", s->out_h, s->out_w, s->out_c,
                     "kernel_size", s->kernel, "stride", s->stride, "groups", s->groups,
                     "multiply_adds", (json_int_t)multiply_adds(b, i), "min_ms",
                     per_image_ms(b, (double)time->min_ns), "mean_ms", mean_ms(b, time->total_ns),
                     "gflops", layer_gflops(b, i), "share_of_peak", layer_share_of_peak(b, i));
}

static json_t *layers_json(const struct bench *b)
{
    json_t *array = json_array();
    for (size_t i = 0; i < network_layer_count(b->model->network); i++)
        if (runs(b, i))
            array = output_json_append(array, layer_json(b, i));
    return array;
}

static json_t *result_json(const struct bench *b)
{
    char cpu[CPU_NAME_MAX];
    struct network_summary kernels = network_kernels(b->model->network);
    cpu_name(cpu);
    return json_pack(
        "{s:o, s:s, s:s, s:i, s:i, s:i, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:s, s:f, s:o, s:o, "
        "s:b}",
        "model", output_json_text(b->operand), "template", b->model->template_name, "precision",
        precision_name(b->model->precision), "threads", b->options.threads, "workers",
        b->options.workers, "batch", b->options.batch, "samples", (json_int_t)b->measure.count,
        "min_ms", per_image_ms(b, b->batch_ns.min), "median_ms",
        per_image_ms(b, b->batch_ns.median), "p99_ms", per_image_ms(b, b->batch_ns.p99),
        "images_per_s", b->measure.images_per_s, "gflops", gflops(b), "peak_gflops", b->peak.gflops,
        "peak_isa", b->peak.isa, "share_of_peak", gflops(b) / b->peak.gflops, "kernels",
        output_json_kernels(&kernels), "cpu", output_json_text(cpu), "decode", b->images != NULL);
}

/* Moves the members of `more` to `object`. Owns both. NULL if either is NULL or without memory. */
static json_t *joined(json_t *object, json_t *more)
{
    if (json_object_update_new(object, more) == 0)
        return object;
    json_decref(object);
    return NULL;
}

static void print_json(const struct bench *b)
{
    json_t *line = result_json(b);
    if (b->images)
        line = joined(line, json_pack("{s:I, s:f, s:f, s:f}", "pictures",
                                      (json_int_t)b->options.picture_count, "decode_ms",
                                      mean_ms(b, b->measure.decode_ns), "preprocess_ms",
                                      mean_ms(b, b->measure.preprocess_ns), "inference_ms",
                                      mean_ms(b, b->measure.inference_ns)));
    if (b->model->exact)
        line = joined(line, json_pack("{s:o, s:o}", "cascade", cascade_json(&b->model->cascade),
                                      "price", price_json(&b->price, &b->model->cascade)));
    if (b->options.layers)
        line = joined(line, json_pack("{s:o}", "layers", layers_json(b)));
    output_json_line(line);
}

static void print_cascade(const struct bench *b)
{
    char price[PRICE_TEXT];
    price_text(&b->price, &b->model->cascade, price);
    printf("cascade   not measured: all times are of int8 alone; %.1f %% of pictures would be "
           "computed "
           "again in float32\nprice     %s\n",
           100 * b->model->cascade.fraction, price);
}

static void print_circumstances(const struct bench *b)
{
    char cpu[CPU_NAME_MAX], multiply_adds[32], kernels[NETWORK_SUMMARY_TEXT];
    struct network_summary summary = network_kernels(b->model->network);
    int size = b->model->preprocess.size;
    cpu_name(cpu);
    network_summary_text(&summary, kernels);
    output_grouped(b->model->multiply_adds, multiply_adds);
    printf("model     ");
    tool_plain(stdout, b->operand);
    printf(": %s, %dx%d, %s multiply-adds an image, %s\n", b->model->template_name, size, size,
           multiply_adds, precision_name(b->model->precision));
    printf("machine   ");
    tool_plain(stdout, cpu);
    printf("; %s peak %.1f GFLOP/s on %d %s (%s)\n",
           b->model->precision == PRECISION_F32 ? "FMA" : precision_name(b->model->precision),
           b->peak.gflops, b->peak_threads, b->peak_threads == 1 ? "thread" : "threads",
           b->peak.isa);
    printf("kernels   %s\n", kernels);
    if (b->model->exact)
        print_cascade(b);
    if (b->images)
        printf("pictures  %zu, in memory; an image: decode %.3f ms, preprocess %.3f ms, inference "
               "%.3f ms\n",
               b->options.picture_count, mean_ms(b, b->measure.decode_ns),
               mean_ms(b, b->measure.preprocess_ns), mean_ms(b, b->measure.inference_ns));
}

/* Prints one line per run, so that the lines of several runs form a table. */
static void print_result(const struct bench *b)
{
    printf("%-20s %-9s %7s %7s %5s %8s %9s %9s %9s %9s %8s %7s\n", "network", "input", "threads",
           "workers", "batch", "batches", "min ms", "median ms", "p99 ms", "images/s", "GFLOP/s",
           "of peak");
    printf("%-20s %-9s %7d %7d %5d %8zu %9.3f %9.3f %9.3f %9.2f %8.1f %6.1f%%\n",
           b->model->template_name, b->images ? "JPEG" : "random", b->options.threads,
           b->options.workers, b->options.batch, b->measure.count, per_image_ms(b, b->batch_ns.min),
           per_image_ms(b, b->batch_ns.median), per_image_ms(b, b->batch_ns.p99),
           b->measure.images_per_s, gflops(b), 100 * gflops(b) / b->peak.gflops);
}

static void print_layer(const struct bench *b, size_t i)
{
    const struct layer *layer = network_layer(b->model->network, i);
    const struct conv_shape *s = &layer->shape;
    char shape[64], groups[24] = "";
    if (s->groups > 1)
        snprintf(groups, sizeof groups, ", C=%d", s->groups);
    snprintf(shape, sizeof shape, "%dx%dx%d, %dx%d, %d%s%s", s->in_h, s->in_w, s->in_c, s->kernel,
             s->kernel, s->out_c, groups, s->stride > 1 ? ", stride 2" : "");
    printf("%-22s %-38s %-29s %9.4f %9.4f %6.1f%%", layer_label(layer), shape,
           kernel_name(b->model->network, i), per_image_ms(b, (double)b->measure.layers[i].min_ns),
           mean_ms(b, b->measure.layers[i].total_ns),
           100 * (double)b->measure.layers[i].total_ns / (double)b->measure.inference_ns);
    if (layer_has_kernel(layer))
        printf(" %8.1f %6.1f%%", layer_gflops(b, i), 100 * layer_share_of_peak(b, i));
    putchar('\n');
}

/* Prints which code runs in kernels that call a library, since their names do not say it. */
static void print_library(const struct network *network)
{
    const struct conv_kernel *said = NULL;
    for (size_t i = 0; i < network_layer_count(network); i++) {
        const struct conv_kernel *kernel = network_kernel(network, i);
        if (!kernel || !kernel->method->library || kernel == said)
            continue;
        printf("%s%s: matrix products by %s, all else by code of this program for %s\n",
               said ? "" : "\n", kernel->name, kernel->method->library(), kernel->isa);
        said = kernel;
    }
}

static void print_layers(const struct bench *b)
{
    printf("\n%-22s %-38s %-29s %9s %9s %7s %8s %7s\n", "layer", "input, kernel, channels",
           "kernel", "min ms", "mean ms", "of time", "GFLOP/s", "of peak");
    for (size_t i = 0; i < network_layer_count(b->model->network); i++)
        if (runs(b, i))
            print_layer(b, i);
    print_library(b->model->network);
}

static void print_text(const struct bench *b)
{
    print_circumstances(b);
    putchar('\n');
    print_result(b);
    if (b->options.layers)
        print_layers(b);
}

/* These variables change OpenBLAS's choice of kernels, so results cannot be compared. */
static void warn_of_environment(void)
{
    static const char *const names[] = {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (getenv(names[i]))
            tool_message("bench: %s is set, so OpenBLAS does not choose for this machine; unset it "
                         "for figures to compare",
                         names[i]);
}

static int read_pictures(struct bench *b, struct error *err)
{
    const struct file_list *files = &b->tool->files;
    struct measure_options *o = &b->options;
    o->pictures = calloc(files->count, sizeof *o->pictures);
    if (!o->pictures)
        return error_set(err, ERR_NO_MEMORY, "no memory for %zu pictures", files->count);
    o->picture_count = files->count;
    int code = ERR_OK;
    for (size_t i = 0; code == ERR_OK && i < files->count; i++) {
        const struct file_entry *file = &files->entries[i];
        o->pictures[i].path = file->path;
        code = file->problem ? error_set(err, ERR_IO, "%s", file->problem)
                             : files_read(file->path, (size_t)b->tool->engine.pictures.max_bytes,
                                          &o->pictures[i].bytes, err);
        if (code != ERR_OK)
            code = error_prefix(err, code, "%s", file->path);
    }
    return code;
}

/* Measures the peak before and after, since the machine may be slower at one of these times. */
static int measure(struct bench *b, struct error *err)
{
    int cpus = thread_cpu_budget();
    b->peak_threads = b->options.threads < cpus ? b->options.threads : cpus;
    struct fma_peak after;
    int code = measure_peak(b->peak_threads, b->model->precision, &b->peak, err);
    if (code == ERR_OK)
        code = measure_run(b->model, &b->options, &b->measure, err);
    if (code == ERR_OK)
        code = measure_peak(b->peak_threads, b->model->precision, &after, err);
    if (code == ERR_OK && b->model->exact)
        code = price_measure(b->model->network, b->model->exact, &b->price, err);
    if (code != ERR_OK)
        return code;
    if (after.gflops > b->peak.gflops)
        b->peak = after;
    b->batch_ns = statistics_of(b->measure.samples, b->measure.count);
    return ERR_OK;
}

static int bench_model(struct bench *b, struct error *err)
{
    int code = b->images ? files_add(&b->tool->files, b->images, 0, err) : ERR_OK;
    if (code == ERR_OK && b->images)
        code = read_pictures(b, err);
    if (code == ERR_OK)
        code = measure(b, err);
    if (code == ERR_OK && b->tool->json)
        print_json(b);
    else if (code == ERR_OK)
        print_text(b);
    measure_destroy(&b->measure);
    for (size_t i = 0; i < b->options.picture_count; i++)
        free(b->options.pictures[i].bytes.data);
    free(b->options.pictures);
    return code;
}

static int open_subject(struct tool *tool, struct error *err)
{
    struct template template;
    if (tool_is_folder(tool->operands[0]))
        return tool_open_model(tool, err);
    int code = tool_find_template(tool->operands[0], &template, err);
    return code == ERR_OK ? random_model_load(&tool->model, &template, &tool->load, err) : code;
}

static struct bench bench = {.workers = 1, .batch = 1, .options.warmup = 3};

static int check(struct tool *tool, struct error *err)
{
    (void)tool;
    const struct bench *b = &bench;
    if (b->seconds && b->options.iterations)
        return error_set(err, ERR_PARAMETER, "give --seconds or --iterations, not both");
    if (b->threads && b->threads < b->workers)
        return error_set(err, ERR_PARAMETER, "--threads may not be less than --workers");
    if (b->threads > b->workers && b->options.layers)
        return error_set(err, ERR_PARAMETER,
                         "--layers times one thread a worker; leave --threads away");
    return ERR_OK;
}

static int run(struct tool *tool, struct error *err)
{
    struct bench *b = &bench;
    int code = open_subject(tool, err);
    if (code != ERR_OK)
        return code;
    warn_of_environment();
    b->tool = tool;
    b->model = tool->model;
    b->operand = tool->operands[0];
    b->options.workers = (int)b->workers;
    b->options.threads = (int)(b->threads ? b->threads : b->workers);
    b->options.batch = (int)b->batch;
    b->options.duration_ns = (b->seconds ? b->seconds : DEFAULT_SECONDS) * NS_PER_S;
    b->options.preprocess = picture_preprocess_options(&tool->engine.pictures);
    return bench_model(b, err);
}

const struct command command_bench = {
    .name = "bench",
    .operands = "MODEL|TEMPLATE",
    .summary = "Measure speed, and the share of the CPU's peak",
    .details = "MODEL is a folder with model.safetensors and config.json, TEMPLATE a name like "
               "resnext50_32x4d,\nwhich gets random weights. Times are for one image: those of a "
               "batch, divided by its images. The peak\nis of multiply-adds of the "
               "precision on registers alone, measured with as many threads, before and after.",
    .shared = OPTION_JSON | OPTION_ISA | OPTION_PRECISION | OPTION_PICTURES,
    .options = OPTIONS(
        INTEGER("workers", 'w', bench.workers, 1, 1024, "batches computed at the same time"),
        INTEGER("threads", 't', bench.threads, 1, 1024,
                "threads in all: those beyond the workers help them (default as many as workers)"),
        INTEGER("batch", 'b', bench.batch, 1, 1024, "images per batch"),
        INTEGER("seconds", 's', bench.seconds, 1, 86400,
                "how long to measure (default 3 without --iterations)"),
        INTEGER("iterations", 'n', bench.options.iterations, 1, 1000000000,
                "how many batches to measure in all, instead of --seconds"),
        INTEGER("warmup", 0, bench.options.warmup, 0, 1000000,
                "batches of each worker that are not measured"),
        FLAG("layers", bench.options.layers, "show each layer"),
        TEXT("images", 0, bench.images, "DIR",
             "JPEGs to take in turn, decoded as part of each batch; random input without it")),
    .check = check,
    .run = run,
};
