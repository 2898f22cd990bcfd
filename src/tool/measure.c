/* Concurrency. Each worker is a thread with a session and samples of its own. It warms up, posts
 * `ready` and waits for `go`, which the caller posts once all workers are ready: every sample is
 * taken under full load. Workers share `next`, from which they claim batches, and `failed`, which
 * makes all of them stop. Helpers go round the passes of the workers until `over` is set. The
 * caller reads a worker's results after joining it. */
#include "tool/measure.h"

#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/threads.h"
#include "tool/pictures.h"

struct run {
    const struct model *model;
    const struct measure_options *options;
    struct worker *workers; /* [options->workers] */
    struct helper *helpers; /* [helper_count] */
    int helper_count;
    sem_t ready, go;
    int64_t deadline_ns; /* written before `go` is posted */
    atomic_llong next;
    atomic_bool failed, over;
};

struct worker {
    struct run *run;
    pthread_t thread;
    struct session *session;
    struct shared_pass *pass; /* NULL without helpers */
    size_t capacity;
    struct measure result; /* without images_per_s */
    struct error error;    /* code ERR_OK if it did not fail */
};

struct helper {
    struct run *run;
    pthread_t thread;
    struct workspace *workspace;
};

/* sem_wait cannot fail: the program has no signal handler that interrupts it. */
static void wait_for(sem_t *semaphore, int count)
{
    for (int i = 0; i < count; i++)
        sem_wait(semaphore);
}

/* Starts the measurement once `count` workers are ready. */
static void start_clock(struct run *run, int count)
{
    wait_for(&run->ready, count);
    run->deadline_ns = clock_monotonic_ns() + run->options->duration_ns;
    for (int i = 0; i < count; i++)
        sem_post(&run->go);
}

/* Decodes the pictures of a batch into the network's input. */
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

static void forward(struct worker *w)
{
    const struct network *network = w->run->model->network;
    const struct measure_options *o = w->run->options;
    if (!o->layers) {
        int share = (o->threads - 1) / o->workers; /* of the helpers, rounded up */
        const struct pass_terms terms = {.context = w, .expected = share};
        if (w->pass)
            network_forward_helped(network, w->session->workspace, o->batch, w->pass, &terms);
        else
            network_forward(network, w->session->workspace, o->batch);
        return;
    }
    int64_t before = clock_monotonic_ns();
    for (size_t i = 0; i < network_layer_count(network); i++) {
        struct layer_time *time = &w->result.layers[i];
        network_run_layer(network, w->session->workspace, i, o->batch);
        int64_t now = clock_monotonic_ns(), taken = now - before;
        time->total_ns += taken;
        if (time->min_ns == 0 || taken < time->min_ns)
            time->min_ns = taken;
        before = now;
    }
}

/* Runs one batch; `*taken` is its time. A forward pass overwrites its input, so random pixels are
 * put again before each batch, outside the measured time. */
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

/* Claims the next batch. False if the measurement is over. */
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
    sem_post(&w->run->ready);
    wait_for(&w->run->go, 1);
    while (code == ERR_OK && claim(w, &batch)) {
        code = run_batch(w, batch, &taken);
        if (code == ERR_OK)
            code = keep_sample(w, taken);
    }
    if (code != ERR_OK)
        atomic_store(&w->run->failed, true);
    return NULL;
}

static bool is_over(void *context)
{
    struct run *run = context;
    return atomic_load_explicit(&run->over, memory_order_relaxed);
}

static void *helper_main(void *arg)
{
    struct helper *h = arg;
    struct run *run = h->run;
    for (int i = 0; !is_over(run); i = (i + 1) % run->options->workers) {
        struct shared_pass *pass = run->workers[i].pass;
        if (!shared_pass_join(pass)) {
            sched_yield();
            continue;
        }
        shared_pass_work(pass, h->workspace, is_over, run);
        shared_pass_leave(pass);
    }
    return NULL;
}

static int start_helpers(struct run *run, int count, struct error *err)
{
    int code = ERR_OK;
    run->helpers = calloc((size_t)count, sizeof *run->helpers);
    if (!run->helpers)
        return error_set(err, ERR_NO_MEMORY, "no memory for %d helpers", count);
    while (code == ERR_OK && run->helper_count < count) {
        struct helper *h = &run->helpers[run->helper_count];
        h->run = run;
        code = workspace_create(&h->workspace, run->model->network, 1, err);
        if (code == ERR_OK)
            code = thread_start(&h->thread, "helper", helper_main, h, err);
        if (code == ERR_OK)
            run->helper_count++;
        else
            workspace_destroy(h->workspace);
    }
    return code;
}

static void stop_helpers(struct run *run)
{
    atomic_store(&run->over, true);
    for (int i = 0; i < run->helper_count; i++) {
        pthread_join(run->helpers[i].thread, NULL);
        workspace_destroy(run->helpers[i].workspace);
    }
    free(run->helpers);
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
    if (code == ERR_OK && run->options->threads > run->options->workers)
        code = shared_pass_create(&w->pass, err);
    return code;
}

/* Runs all workers to their end. Returns the first worker's error. */
static int run_workers(struct run *run, struct error *err)
{
    int started = 0, code = ERR_OK, idle = run->options->threads - run->options->workers;
    for (int i = 0; code == ERR_OK && i < run->options->workers; i++)
        code = worker_create(&run->workers[i], run, err);
    if (code == ERR_OK && idle > 0)
        code = start_helpers(run, idle, err);
    while (code == ERR_OK && started < run->options->workers) {
        struct worker *w = &run->workers[started];
        code = thread_start(&w->thread, "bench", worker_main, w, err);
        started += code == ERR_OK;
    }
    if (code != ERR_OK)
        atomic_store(&run->failed, true);
    start_clock(run, started);
    for (int i = 0; i < started; i++) {
        const struct worker *w = &run->workers[i];
        pthread_join(w->thread, NULL);
        if (code == ERR_OK && w->error.code != ERR_OK) {
            code = w->error.code;
            if (err)
                *err = w->error;
        }
    }
    stop_helpers(run);
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

static int add_workers(const struct run *run, struct measure *sum, struct error *err)
{
    size_t layers = network_layer_count(run->model->network), count = 0;
    for (int i = 0; i < run->options->workers; i++)
        count += run->workers[i].result.count;
    sum->samples = calloc(count, sizeof *sum->samples);
    if (run->options->layers)
        sum->layers = calloc(layers, sizeof *sum->layers);
    if (!sum->samples || (run->options->layers && !sum->layers))
        return error_set(err, ERR_NO_MEMORY, "no memory for %zu samples", count);
    for (int i = 0; i < run->options->workers; i++)
        add_worker(sum, &run->workers[i].result, layers, run->options->batch);
    return ERR_OK;
}

int measure_run(const struct model *model, const struct measure_options *options,
                struct measure *out, struct error *err)
{
    CHECK(options->workers > 0 && options->batch > 0);
    CHECK(options->threads >= options->workers);
    CHECK(options->threads == options->workers || !options->layers);
    struct run run = {.model = model, .options = options};
    *out = (struct measure){0};
    run.workers = calloc((size_t)options->workers, sizeof *run.workers);
    if (!run.workers)
        return error_set(err, ERR_NO_MEMORY, "no memory for %d workers", options->workers);
    sem_init(&run.ready, 0, 0);
    sem_init(&run.go, 0, 0);
    int code = run_workers(&run, err);
    if (code == ERR_OK)
        code = add_workers(&run, out, err);
    sem_destroy(&run.ready);
    sem_destroy(&run.go);
    for (int i = 0; i < options->workers; i++) {
        sessions_destroy(run.workers[i].session, 1);
        shared_pass_destroy(run.workers[i].pass);
        measure_destroy(&run.workers[i].result);
    }
    free(run.workers);
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
