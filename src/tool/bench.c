#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/threads.h"
#include "tool/args.h"
#include "tool/measure.h"
#include "tool/output.h"
#include "tool/pictures.h"
#include "tool/random_model.h"
#include "tool/statistics.h"
#include "tool/tool.h"

enum { DEFAULT_SECONDS = 3 };

struct bench {
    bool json;
    const char *operand;
    const char *isa, *precision;
    const char *images; /* where JPEGs are; NULL: random input */
    struct picture_options pictures;
    struct kernel_isas isas;
    struct measure_options options;
    const struct model *model;
    struct fma_peak peak;   /* of the CPUs that the workers can use */
    int peak_threads;       /* how many those are */
    struct measure measure; /* samples sorted */
    struct statistics batch_ns;
};

static double per_image_ms(const struct bench *b, double batch_ns)
{
    return batch_ns / 1e6 / b->options.batch;
}

/* The mean over all samples of a sum in nanoseconds. */
static double mean_ms(const struct bench *b, int64_t sum_ns)
{
    return per_image_ms(b, (double)sum_ns / (double)b->measure.count);
}

static double gflops(const struct bench *b)
{
    return 2e-9 * (double)b->model->multiply_adds * b->measure.images_per_s;
}

/* Of one worker, while it was in the layer. */
static double layer_gflops(const struct bench *b, size_t i)
{
    const struct layer *layer = network_layer(b->model->network, i);
    double images = (double)b->measure.count * b->options.batch;
    return 2 * (double)layer_multiply_adds(layer) * images /
           (double)(b->measure.layers[i].total_ns + 1);
}

static double layer_share_of_peak(const struct bench *b, size_t i)
{
    return layer_gflops(b, i) / (b->peak.gflops / b->peak_threads);
}

static const char *kernel_name(const struct network *network, size_t i)
{
    const struct conv_kernel *kernel = network_kernel(network, i);
    return kernel ? kernel->name : "pool";
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
                     "multiply_adds", (json_int_t)layer_multiply_adds(layer), "min_ms",
                     per_image_ms(b, (double)time->min_ns), "mean_ms", mean_ms(b, time->total_ns),
                     "gflops", layer_gflops(b, i), "share_of_peak", layer_share_of_peak(b, i));
}

static json_t *layers_json(const struct bench *b)
{
    json_t *array = json_array();
    for (size_t i = 0; i < network_layer_count(b->model->network); i++)
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

/* Takes over both; NULL, like either of them, without memory. */
static json_t *joined(json_t *object, json_t *more)
{
    if (json_object_update(object, more) == 0) {
        json_decref(more);
        return object;
    }
    json_decref(object);
    json_decref(more);
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
    if (b->options.layers)
        line = joined(line, json_pack("{s:o}", "layers", layers_json(b)));
    output_json_line(line);
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
    if (b->images)
        printf("pictures  %zu, in memory; an image: decode %.3f ms, preprocess %.3f ms, inference "
               "%.3f ms\n",
               b->options.picture_count, mean_ms(b, b->measure.decode_ns),
               mean_ms(b, b->measure.preprocess_ns), mean_ms(b, b->measure.inference_ns));
}

/* One line a run, so that the lines of several runs make one table. */
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
    if (layer_has_weights(layer))
        printf(" %8.1f %6.1f%%", layer_gflops(b, i), 100 * layer_share_of_peak(b, i));
    putchar('\n');
}

static void print_layers(const struct bench *b)
{
    printf("\n%-22s %-38s %-29s %9s %9s %7s %8s %7s\n", "layer", "input, kernel, channels",
           "kernel", "min ms", "mean ms", "of time", "GFLOP/s", "of peak");
    for (size_t i = 0; i < network_layer_count(b->model->network); i++)
        print_layer(b, i);
}

static void print_text(const struct bench *b)
{
    print_circumstances(b);
    putchar('\n');
    print_result(b);
    if (b->options.layers)
        print_layers(b);
}

/* A figure that does not say which kernels made it is of no use; these change OpenBLAS's choice. */
static void warn_of_environment(void)
{
    static const char *const names[] = {"OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (getenv(names[i]))
            tool_message("bench: %s is set, so OpenBLAS does not choose for this machine; unset it "
                         "for figures to compare",
                         names[i]);
}

static int read_pictures(struct bench *b, const struct file_list *files, struct error *err)
{
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
                             : files_read(file->path, (size_t)b->pictures.max_bytes,
                                          &o->pictures[i].bytes, err);
        if (code != ERR_OK)
            code = error_prefix(err, code, "%s", file->path);
    }
    return code;
}

/* The peak before and after: the machine may have been slower at one of the two. */
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
    if (code != ERR_OK)
        return code;
    if (after.gflops > b->peak.gflops)
        b->peak = after;
    b->batch_ns = statistics_of(b->measure.samples, b->measure.count);
    return ERR_OK;
}

static int bench_model(struct bench *b, struct error *err)
{
    struct file_list files = {0};
    int code = b->images ? files_add(&files, b->images, 0, err) : ERR_OK;
    if (code == ERR_OK && b->images)
        code = read_pictures(b, &files, err);
    if (code == ERR_OK)
        code = measure(b, err);
    if (code == ERR_OK && b->json)
        print_json(b);
    else if (code == ERR_OK)
        print_text(b);
    measure_destroy(&b->measure);
    for (size_t i = 0; i < b->options.picture_count; i++)
        free(b->options.pictures[i].bytes.data);
    free(b->options.pictures);
    files_free(&files);
    return code;
}

static int open_subject(struct model **model, const struct bench *b)
{
    if (tool_is_folder(b->operand))
        return tool_open_model(model, b->operand, b->isa, b->precision);
    struct error err;
    const struct model_options options = {.isas = b->isas, .precision = b->precision};
    if (random_model_load(model, b->operand, &options, &err) == ERR_OK)
        return TOOL_OK;
    tool_message("%s is no folder; as a template: %s", b->operand, err.message);
    return TOOL_FAILED;
}

static int run(struct bench *b)
{
    int status = tool_isas(b->isa, &b->isas);
    if (status != TOOL_OK)
        return status;
    struct model *model;
    status = open_subject(&model, b);
    if (status != TOOL_OK)
        return status;
    warn_of_environment();
    b->model = model;
    struct error err;
    if (bench_model(b, &err) != ERR_OK) {
        tool_message("%s", err.message);
        status = TOOL_FAILED;
    }
    model_destroy(model);
    return status;
}

static int bench_run(int argc, char **argv)
{
    struct bench b = {.isa = "auto", .precision = DEFAULT_PRECISION, .pictures = PICTURE_DEFAULTS};
    int64_t workers = 1, threads = 0, batch = 1, seconds = 0;
    b.options.warmup = 3;
    const struct option_row rows[] = {
        OPTION_JSON(b.json),
        {.name = "workers",
         .letter = 'w',
         .integer = &workers,
         .min = 1,
         .max = 1024,
         .argument = "N",
         .help = "batches worked on at a time"},
        {.name = "threads",
         .letter = 't',
         .integer = &threads,
         .min = 1,
         .max = 1024,
         .argument = "N",
         .help = "threads in all: those beyond the workers help them (default as many as workers)"},
        {.name = "batch",
         .letter = 'b',
         .integer = &batch,
         .min = 1,
         .max = 1024,
         .argument = "N",
         .help = "images a batch"},
        {.name = "seconds",
         .letter = 's',
         .integer = &seconds,
         .min = 1,
         .max = 86400,
         .argument = "N",
         .help = "how long to measure (default 3 without --iterations)"},
        {.name = "iterations",
         .letter = 'n',
         .integer = &b.options.iterations,
         .min = 1,
         .max = 1000000000,
         .argument = "N",
         .help = "how many batches to measure in all, instead of --seconds"},
        {.name = "warmup",
         .integer = &b.options.warmup,
         .min = 0,
         .max = 1000000,
         .argument = "N",
         .help = "batches of each worker that are not measured"},
        {.name = "layers", .flag = &b.options.layers, .help = "show each layer"},
        {.name = "images",
         .text = &b.images,
         .argument = "DIR",
         .help = "JPEGs to take in turn, decoded as part of each batch; random input without"},
        OPTION_ISA(b.isa),
        OPTION_PRECISION(b.precision),
        OPTIONS_PICTURES(b.pictures),
    };
    int first, status;
    if (!args_parse(&command_bench, rows, sizeof rows / sizeof rows[0], argc, argv, &first,
                    &status))
        return status;
    if (seconds && b.options.iterations) {
        tool_message("bench: give --seconds or --iterations, not both");
        return TOOL_USAGE;
    }
    if (threads && (threads < workers || (threads > workers && b.options.layers))) {
        tool_message(threads < workers ? "bench: --threads may not be less than --workers"
                                       : "bench: --layers times one thread a worker; leave "
                                         "--threads away");
        return TOOL_USAGE;
    }
    b.operand = argv[first];
    b.options.workers = (int)workers;
    b.options.threads = (int)(threads ? threads : workers);
    b.options.batch = (int)batch;
    b.options.duration_ns = (seconds ? seconds : DEFAULT_SECONDS) * 1000000000;
    b.options.preprocess = picture_preprocess_options(&b.pictures);
    return run(&b);
}

const struct command command_bench = {
    .name = "bench",
    .operands = "MODEL|TEMPLATE",
    .summary = "Measure speed, and its share of what the CPU can do",
    .details = "MODEL is a folder with model.safetensors and config.json, TEMPLATE a name like "
               "resnext50_32x4d,\nwhich gets random weights. Times are for one image: those of a "
               "batch, divided by its images. The peak\nis of multiply-adds of the "
               "precision on registers alone, measured with as many threads, before and after.",
    .min = 1,
    .max = 1,
    .run = bench_run,
};
