/* Concurrency. Each worker is a thread with a session and samples of its own. It warms up, then
 * waits at the gate until all others have done so, too, so that every sample is taken under full
 * load. What workers share: the gate (guarded by its lock), `next`, from which they claim batches,
 * and `failed`, which makes all of them stop. The caller reads a worker's results after joining it.
 */
#include "tool/measure.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/size.h"
#include "base/threads.h"
#include "tool/helpers.h"
#include "tool/pictures.h"

struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int waiting;
    bool open;
};

struct run {
    const struct model *model;
    const struct measure_options *options;
    struct gate gate;
    int64_t deadline_ns; /* written before the gate opens */
    atomic_llong next;
    atomic_bool failed;
};

struct worker {
    struct run *run;
    pthread_t thread;
    struct session *session;
    struct shared_pass *pass; /* NULL if nobody helps */
    size_t capacity;
    struct measure result; /* images_per_s is not used */
    struct error error;    /* code ERR_OK if all went well */
};

static void gate_wait(struct gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    gate->waiting++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

/* Opens the gate when `count` threads wait at it. */
static void gate_open(struct run *run, int count)
{
    struct gate *gate = &run->gate;
    pthread_mutex_lock(&gate->lock);
    while (gate->waiting < count)
        pthread_cond_wait(&gate->changed, &gate->lock);
    run->deadline_ns = clock_monotonic_ns() + run->options->duration_ns;
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->lock);
}

/* Decodes the pictures of batch number `batch`, in turn, into the network's input. */
static int decode_batch(struct worker *w, int64_t batch)
{
    const struct measure_options *o = w->run->options;
    for (int i = 0; i < o->batch; i++) {
        uint64_t number = (uint64_t)batch * (uint64_t)o->batch + (uint64_t)i;
        const struct picture *picture = &o->pictures[number % o->picture_count];
        struct preprocess_report report;
        int code = session_decode(w->session, &o->preprocess, picture->bytes.data,
                                  picture->bytes.length, &report, &w->error);
        if (code != ERR_OK)
            return error_prefix(&w->error, code, "%s", picture->path);
        session_put_rgb(w->session, i);
        w->result.decode_ns += report.decode_ns;
    }
    return ERR_OK;
}

/* The threads beyond the workers go round their passes: a worker's share of them, rounded up. */
static int helpers_of_each(const struct measure_options *o)
{
    return (o->threads - 1) / o->workers;
}

static void forward(struct worker *w)
{
    const struct network *network = w->run->model->network;
    int images = w->run->options->batch;
    if (!w->run->options->layers) {
        const struct pass_terms terms = {.context = w,
                                         .expected = helpers_of_each(w->run->options)};
        session_forward(w->session, images, w->pass, &terms);
        return;
    }
    int64_t before = clock_monotonic_ns();
    for (size_t i = 0; i < network_layer_count(network); i++) {
        struct layer_time *time = &w->result.layers[i];
        network_run_layer(network, w->session->workspace, i, images);
        int64_t now = clock_monotonic_ns(), taken = now - before;
        time->total_ns += taken;
        if (time->min_ns == 0 || taken < time->min_ns)
            time->min_ns = taken;
        before = now;
    }
}

/* One batch; `*taken` is its time. A forward pass overwrites its input; so every batch gets random
 * pixels anew, off the clock. */
static int run_batch(struct worker *w, int64_t batch, int64_t *taken)
{
    const struct measure_options *o = w->run->options;
    for (int i = 0; !o->pictures && i < o->batch; i++)
        session_put_rgb(w->session, i);
    int64_t start = clock_monotonic_ns(), decoded_before = w->result.decode_ns;
    int code = o->pictures ? decode_batch(w, batch) : ERR_OK;
    if (code != ERR_OK)
        return code;
    int64_t ready = clock_monotonic_ns();
    forward(w);
    int64_t end = clock_monotonic_ns();
    w->result.preprocess_ns += ready - start - (w->result.decode_ns - decoded_before);
    w->result.inference_ns += end - ready;
    *taken = end - start;
    return ERR_OK;
}

static int keep_sample(struct worker *w, int64_t taken)
{
    struct measure *r = &w->result;
    int64_t *samples = array_grow(r->samples, r->count, &w->capacity, sizeof *samples);
    if (!samples)
        return error_set(&w->error, ERR_NO_MEMORY, "no memory for %zu samples", r->count + 1);
    r->samples = samples;
    r->samples[r->count++] = taken;
    return ERR_OK;
}

static int warm_up(struct worker *w)
{
    int64_t taken;
    int code = ERR_OK;
    for (int64_t i = 0; code == ERR_OK && i < w->run->options->warmup; i++)
        code = run_batch(w, i, &taken);
    struct measure *r = &w->result;
    r->decode_ns = r->preprocess_ns = r->inference_ns = 0;
    if (r->layers)
        memset(r->layers, 0, network_layer_count(w->run->model->network) * sizeof *r->layers);
    return code;
}

/* Claims the next batch; false when the measurement is over. */
static bool claim(struct worker *w, int64_t *batch)
{
    struct run *run = w->run;
    bool more = run->options->iterations > 0 || w->result.count == 0 ||
                clock_monotonic_ns() < run->deadline_ns;
    if (!more || atomic_load(&run->failed))
        return false;
    *batch = atomic_fetch_add(&run->next, 1);
    return run->options->iterations == 0 || *batch < run->options->iterations;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    int64_t batch, taken;
    int code = warm_up(w);
    gate_wait(&w->run->gate);
    while (code == ERR_OK && claim(w, &batch)) {
        code = run_batch(w, batch, &taken);
        if (code == ERR_OK)
            code = keep_sample(w, taken);
    }
    if (code != ERR_OK)
        atomic_store(&w->run->failed, true);
    return NULL;
}

static int worker_create(struct worker *w, struct run *run, struct error *err)
{
    const struct model *model = run->model;
    w->run = run;
    if (run->options->layers)
        w->result.layers = calloc(network_layer_count(model->network), sizeof *w->result.layers);
    if (run->options->layers && !w->result.layers)
        return error_set(err, ERR_NO_MEMORY, "no memory for a worker");
    int code = sessions_create(&w->session, &model, 1, run->options->batch, err);
    if (code == ERR_OK)
        picture_random(&model->preprocess, w->session->rgb);
    return code;
}

static void worker_destroy(struct worker *w)
{
    sessions_destroy(w->session, 1);
    measure_destroy(&w->result);
}

/* Runs all workers to their end. The first error of any. */
static int run_workers(struct run *run, struct worker *workers, struct error *err)
{
    int started = 0, code = ERR_OK, idle = run->options->threads - run->options->workers;
    struct helpers *helpers = NULL;
    for (int i = 0; code == ERR_OK && i < run->options->workers; i++)
        code = worker_create(&workers[i], run, err);
    if (code == ERR_OK && idle > 0)
        code = helpers_start(&helpers, idle, run->options->workers, run->model->network, err);
    while (code == ERR_OK && started < run->options->workers) {
        struct worker *w = &workers[started];
        w->pass = helpers_pass(helpers, started);
        code = thread_start(&w->thread, "bench", worker_main, w, err);
        started += code == ERR_OK;
    }
    if (code != ERR_OK)
        atomic_store(&run->failed, true);
    gate_open(run, started);
    for (int i = 0; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
        if (code == ERR_OK && workers[i].error.code != ERR_OK) {
            code = workers[i].error.code;
            if (err)
                *err = workers[i].error;
        }
    }
    helpers_stop(helpers);
    return code;
}

static void add_worker(struct measure *sum, const struct measure *one, size_t layers, int batch)
{
    int64_t taken = 0;
    for (size_t i = 0; i < one->count; i++)
        taken += one->samples[i];
    if (taken > 0)
        sum->images_per_s += (double)one->count * batch / clock_ns_to_s(taken);
    if (one->count > 0)
        memcpy(sum->samples + sum->count, one->samples, one->count * sizeof *sum->samples);
    sum->count += one->count;
    sum->decode_ns += one->decode_ns;
    sum->preprocess_ns += one->preprocess_ns;
    sum->inference_ns += one->inference_ns;
    for (size_t i = 0; one->count > 0 && sum->layers && i < layers; i++) {
        struct layer_time *to = &sum->layers[i];
        const struct layer_time *from = &one->layers[i];
        to->total_ns += from->total_ns;
        if (to->min_ns == 0 || from->min_ns < to->min_ns)
            to->min_ns = from->min_ns;
    }
}

static int add_workers(const struct run *run, const struct worker *workers, struct measure *sum,
                       struct error *err)
{
    size_t layers = network_layer_count(run->model->network), count = 0;
    for (int i = 0; i < run->options->workers; i++)
        count += workers[i].result.count;
    sum->samples = calloc(count, sizeof *sum->samples);
    if (run->options->layers)
        sum->layers = calloc(layers, sizeof *sum->layers);
    if (!sum->samples || (run->options->layers && !sum->layers))
        return error_set(err, ERR_NO_MEMORY, "no memory for %zu samples", count);
    for (int i = 0; i < run->options->workers; i++)
        add_worker(sum, &workers[i].result, layers, run->options->batch);
    return ERR_OK;
}

int measure_run(const struct model *model, const struct measure_options *options,
                struct measure *out, struct error *err)
{
    CHECK(options->workers > 0 && options->batch > 0);
    CHECK(options->threads >= options->workers);
    CHECK(options->threads == options->workers || !options->layers);
    struct run run = {.model = model,
                      .options = options,
                      .gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false}};
    struct worker *workers = calloc((size_t)options->workers, sizeof *workers);
    *out = (struct measure){0};
    int code = workers
                   ? run_workers(&run, workers, err)
                   : error_set(err, ERR_NO_MEMORY, "no memory for %d workers", options->workers);
    if (code == ERR_OK)
        code = add_workers(&run, workers, out, err);
    for (int i = 0; workers && i < options->workers; i++)
        worker_destroy(&workers[i]);
    free(workers);
    if (code != ERR_OK)
        measure_destroy(out);
    return code;
}

void measure_destroy(struct measure *m)
{
    free(m->samples);
    free(m->layers);
    *m = (struct measure){0};
}

struct peak_thread {
    pthread_t thread;
    enum precision precision;
    struct fma_peak peak;
};

static void *peak_main(void *arg)
{
    struct peak_thread *t = arg;
    t->peak = peak_measure(cpu_features(), t->precision);
    return NULL;
}

int measure_peak(int threads, enum precision precision, struct fma_peak *out, struct error *err)
{
    struct peak_thread *all = calloc((size_t)threads, sizeof *all);
    int started = 0;
    int code = all ? ERR_OK : error_set(err, ERR_NO_MEMORY, "no memory for %d threads", threads);
    while (code == ERR_OK && started < threads) {
        all[started].precision = precision;
        code = thread_start(&all[started].thread, "peak", peak_main, &all[started], err);
        started += code == ERR_OK;
    }
    *out = (struct fma_peak){0};
    for (int i = 0; i < started; i++) {
        pthread_join(all[i].thread, NULL);
        out->gflops += all[i].peak.gflops;
        out->isa = all[i].peak.isa;
    }
    free(all);
    return code;
}
