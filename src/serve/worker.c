#include "serve/worker.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/threads.h"

struct worker {
    struct worker_surroundings *surroundings;
    pthread_t thread;
    struct preprocessor *preprocessor;
    struct workspace **workspaces;  /* one a model */
    uint8_t *rgb;                   /* room for the largest input */
    struct prediction *predictions; /* room for the most classes */
    _Atomic int64_t alive_ns;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool warm_known;
    struct error warm_error;
};

static void show_life(struct worker *w)
{
    atomic_store_explicit(&w->alive_ns, clock_monotonic_ns(), memory_order_relaxed);
}

int64_t worker_alive_ns(const struct worker *worker)
{
    return atomic_load_explicit(&worker->alive_ns, memory_order_relaxed);
}

static size_t input_pixels(const struct model *model)
{
    return (size_t)model->preprocess.size * (size_t)model->preprocess.size;
}

static int create_buffers(struct worker *w, struct error *err)
{
    const struct catalog *catalog = w->surroundings->catalog;
    size_t pixels = 0, classes = 0;
    w->workspaces = calloc(catalog->count, sizeof(struct workspace *));
    if (!w->workspaces)
        return error_set(err, ERR_NO_MEMORY, "no memory for a worker");
    for (size_t i = 0; i < catalog->count; i++) {
        const struct model *model = catalog->entries[i].model;
        int code = workspace_create(&w->workspaces[i], model->network, 1, err);
        if (code != ERR_OK)
            return code;
        if (input_pixels(model) > pixels)
            pixels = input_pixels(model);
        if ((size_t)model->classes > classes)
            classes = (size_t)model->classes;
    }
    w->rgb = malloc(pixels * 3);
    w->predictions = calloc(classes, sizeof *w->predictions);
    if (!w->rgb || !w->predictions)
        return error_set(err, ERR_NO_MEMORY, "no memory for a worker");
    return preprocessor_create(&w->preprocessor, err);
}

static void destroy_buffers(struct worker *w)
{
    preprocessor_destroy(w->preprocessor);
    for (size_t i = 0; w->workspaces && i < w->surroundings->catalog->count; i++)
        workspace_destroy(w->workspaces[i]);
    free(w->workspaces);
    free(w->rgb);
    free(w->predictions);
}

/* Runs the network on what lies in w->rgb; the logits lie in the workspace. */
static const float *infer(struct worker *w, size_t index)
{
    const struct model *model = w->surroundings->catalog->entries[index].model;
    struct workspace *workspace = w->workspaces[index];
    preprocess_normalize(&model->preprocess, w->rgb, input_pixels(model),
                         workspace_input(workspace));
    return network_forward(model->network, workspace, 1);
}

static void warm_up(struct worker *w)
{
    const struct catalog *catalog = w->surroundings->catalog;
    for (size_t i = 0; i < catalog->count; i++) {
        memset(w->rgb, 128, input_pixels(catalog->entries[i].model) * 3);
        infer(w, i);
    }
}

static void best_classes(struct worker *w, const struct request *r, struct request_part *part,
                         const float *logits)
{
    const struct model *model = w->surroundings->catalog->entries[r->model].model;
    model_top_k(logits, model->classes, r->top_k, w->predictions);
    for (int i = 0; i < r->top_k; i++)
        part->predictions[i] = (struct scored_class){
            .class_id = w->predictions[i].class_id,
            .score = w->predictions[i].score,
            .label = model->labels[w->predictions[i].class_id],
        };
}

/* Nobody waits for the answer any more, or nobody would get it in time. */
static bool is_pointless(const struct request *r)
{
    if (request_outcome(r) != REQUEST_PENDING)
        return true;
    return clock_monotonic_ns() >= r->deadline_ns;
}

static void classify_part(struct worker *w, const struct request *r, struct request_part *part)
{
    struct metrics *metrics = w->surroundings->metrics;
    const struct model *model = w->surroundings->catalog->entries[r->model].model;
    struct preprocess_options options = w->surroundings->options;
    struct preprocess_report report = {0};
    options.deadline_ns = r->deadline_ns;
    int code = preprocessor_run(w->preprocessor, &model->preprocess, &options, part->jpeg,
                                part->length, w->rgb, &report, &part->error);
    part->width = report.width;
    part->height = report.height;
    part->decode_ns = report.decode_ns;
    part->preprocess_ns = report.preprocess_ns;
    show_life(w);
    if (code != ERR_OK || is_pointless(r))
        return;
    int64_t begin = clock_monotonic_ns();
    best_classes(w, r, part, infer(w, r->model));
    part->inference_ns = clock_monotonic_ns() - begin;
    show_life(w);
    metrics_observe(metrics, HISTOGRAM_stage_duration, STAGE_DECODE, part->decode_ns);
    metrics_observe(metrics, HISTOGRAM_stage_duration, STAGE_PREPROCESS, part->preprocess_ns);
    metrics_observe(metrics, HISTOGRAM_stage_duration, STAGE_INFERENCE, part->inference_ns);
    metrics_add(metrics, COUNTER_images, r->model, 0, 0, 1);
}

static void run_request(struct worker *w, struct request *r)
{
    r->started_ns = clock_monotonic_ns();
    metrics_observe(w->surroundings->metrics, HISTOGRAM_stage_duration, STAGE_QUEUE,
                    r->started_ns - r->queued_ns);
    for (size_t i = 0; i < r->part_count; i++) {
        if (is_pointless(r))
            break;
        classify_part(w, r, &r->parts[i]);
        if (r->parts[i].error.code == ERR_DEADLINE)
            break;
    }
    request_finish(r, is_pointless(r) ? ERR_DEADLINE : ERR_OK);
}

static void serve_requests(struct worker *w)
{
    struct worker_surroundings *s = w->surroundings;
    int64_t wait_ns = s->heartbeat_ns > 0 ? s->heartbeat_ns : -1;
    struct request *r;
    enum queue_result result;
    while ((result = queue_pop(s->queue, wait_ns, &r)) != QUEUE_CLOSED) {
        show_life(w);
        if (result == QUEUE_TIMEOUT)
            continue;
        atomic_fetch_add_explicit(&s->busy, 1, memory_order_relaxed);
        if (request_outcome(r) == REQUEST_PENDING)
            run_request(w, r);
        request_release(r);
        atomic_fetch_sub_explicit(&s->busy, 1, memory_order_relaxed);
    }
}

static void report_warm(struct worker *w, const struct error *error)
{
    pthread_mutex_lock(&w->lock);
    w->warm_error = *error;
    w->warm_known = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct error error = {0};
    /* Buffers are made here, so that their pages lie near the CPU that will use them. */
    int code = create_buffers(w, &error);
    if (code == ERR_OK)
        warm_up(w);
    show_life(w);
    report_warm(w, &error);
    if (code == ERR_OK)
        serve_requests(w);
    destroy_buffers(w);
    return NULL;
}

int worker_start(struct worker **out, struct worker_surroundings *surroundings, int index,
                 struct error *err)
{
    char name[16];
    snprintf(name, sizeof name, "worker/%d", index);
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        return error_set(err, ERR_NO_MEMORY, "no memory for a worker");
    w->surroundings = surroundings;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    int code = thread_start(&w->thread, name, worker_main, w, err);
    if (code != ERR_OK) {
        pthread_cond_destroy(&w->changed);
        pthread_mutex_destroy(&w->lock);
        free(w);
        return code;
    }
    *out = w;
    return ERR_OK;
}

int worker_wait_warm(struct worker *worker, struct error *err)
{
    pthread_mutex_lock(&worker->lock);
    while (!worker->warm_known)
        pthread_cond_wait(&worker->changed, &worker->lock);
    pthread_mutex_unlock(&worker->lock);
    if (worker->warm_error.code != ERR_OK)
        return error_set(err, worker->warm_error.code, "%s", worker->warm_error.message);
    return ERR_OK;
}

void worker_join(struct worker *worker)
{
    if (!worker)
        return;
    pthread_join(worker->thread, NULL);
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}
