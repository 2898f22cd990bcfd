#include "serve/worker.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/threads.h"
#include "serve/admission.h"
#include "serve/results.h"

struct worker {
    const struct worker_context *context;
    const struct generation *first; /* until it is warm */
    pthread_t thread;
    bool running; /* there is a thread to join */
    int index;
    _Atomic int64_t alive_ns, free_at_ns;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool warm_known, begins, ends;
    struct error warm_error;
};

static void report_alive(void *worker)
{
    struct worker *w = worker;
    atomic_store_explicit(&w->alive_ns, clock_monotonic_ns(), memory_order_relaxed);
}

int64_t worker_alive_ns(const struct worker *worker)
{
    return atomic_load_explicit(&worker->alive_ns, memory_order_relaxed);
}

int64_t worker_free_at_ns(const struct worker *worker)
{
    return atomic_load_explicit(&worker->free_at_ns, memory_order_relaxed);
}

/* The request that a worker is running, and the data that it needs for it. */
struct job {
    struct worker *worker;
    struct request *request;
    struct served_model *entry;
    struct session *session; /* of the worker and the request's model */
    struct preprocess_options options;
};

/* Nobody waits for the answer any more, or nobody would get it in time. */
static bool is_abandoned(const struct request *r)
{
    if (completion_outcome(&r->completion) != COMPLETION_PENDING)
        return true;
    return clock_monotonic_ns() >= r->completion.deadline_ns;
}

/* Asked again and again by whatever takes long. */
static bool go_on(void *arg)
{
    const struct job *job = arg;
    report_alive(job->worker);
    return !is_abandoned(job->request);
}

/* ERR_NO_MEMORY: there is no session, and there can be none. */
static int begin_job(struct job *job, struct worker *w, struct request *r, struct error *err)
{
    int code = generation_make_sessions(r->generation, w->index, err);
    const struct conf *conf = generation_conf(r->generation);
    *job = (struct job){
        .worker = w,
        .request = r,
        .entry = generation_entry(r->generation, r->model),
        .session = generation_session(r->generation, w->index, r->model),
        .options = {.limits = {.max_pixels = (uint64_t)conf->max_pixels,
                               .go_on = go_on,
                               .arg = job},
                    .orientation = conf->exif_orientation,
                    .decode = conf->decode,
                    .pillow = conf->pillow},
    };
    return code;
}

/* Decodes a part's JPEG to session->rgb. */
static int decode_part(const struct job *job, struct request_part *part)
{
    struct preprocess_report report = {0};
    int code = session_decode(job->session, &job->options, part->jpeg, part->length, &report,
                              &part->error);
    part->width = report.width;
    part->height = report.height;
    part->decode_ns = report.decode_ns;
    part->preprocess_ns = report.preprocess_ns;
    return code;
}

/* Reads a part's numbers to session->tensor. */
static int read_tensor(const struct job *job, size_t i)
{
    struct request *r = job->request;
    struct request_part *part = &r->parts[i];
    int64_t begin = clock_monotonic_ns();
    int code = r->codec->read_tensor(r, i, job->session->tensor, &part->error);
    part->decode_ns = clock_monotonic_ns() - begin;
    return code;
}

static void observe_part(struct worker *w, const struct job *job, const struct request_part *part)
{
    struct metrics *metrics = w->context->metrics;
    metrics_observe(metrics, HISTOGRAM_stage_duration, STAGE_DECODE, part->decode_ns);
    metrics_observe(metrics, HISTOGRAM_stage_duration, STAGE_PREPROCESS, part->preprocess_ns);
    metrics_observe(metrics, HISTOGRAM_stage_duration, STAGE_INFERENCE, part->inference_ns);
    metrics_add(metrics, COUNTER_images, job->entry->info.metric, 0, 0, 1);
    if (job->session->recomputed)
        metrics_add(metrics, COUNTER_recomputed, job->entry->info.metric, 0, 0, 1);
}

/* It is the model that is to blame, or numbers that a client made up as its input. */
static void report_not_finite(struct worker *w, const struct job *job, const struct error *error)
{
    const struct model_info *info = &job->entry->info;
    const struct log_field fields[] = {
        {.key = "model", .text = info->name},
        {.key = "precision", .text = info->precision},
        {.key = "reason", .text = error->message},
    };
    metrics_add(w->context->metrics, COUNTER_not_finite, info->metric, 0, 0, 1);
    log_event(LOG_LEVEL_ERROR, "result is not finite", fields, sizeof fields / sizeof fields[0]);
}

static void run_part(struct worker *w, const struct job *job, size_t i)
{
    struct request *r = job->request;
    struct request_part *part = &r->parts[i];
    int code = part->jpeg ? decode_part(job, part) : read_tensor(job, i);
    report_alive(w);
    if (code != ERR_OK || is_abandoned(r))
        return;
    int64_t begin = clock_monotonic_ns();
    if (part->jpeg)
        session_put_rgb(job->session, 0);
    else if (session_put_tensor(job->session, &part->error) != ERR_OK)
        return;
    const float *logits = helpers_infer(w->context->helpers, r->generation, w->index, r->model,
                                        go_on, job->options.limits.arg);
    part->inference_ns = clock_monotonic_ns() - begin;
    if (!logits)
        return;
    observe_part(w, job, part);
    if (results_fill(job->session, &job->options, r, part, &part->error) == ERR_NOT_FINITE)
        report_not_finite(w, job, &part->error);
    report_alive(w);
}

static void run_parts(struct worker *w, const struct job *job)
{
    struct request *r = job->request;
    int64_t begin = r->started_ns;
    for (size_t i = 0; i < r->part_count && !is_abandoned(r); i++) {
        run_part(w, job, i);
        int64_t end = clock_monotonic_ns();
        const struct error *error = &r->parts[i].error;
        bool given_up = is_abandoned(r), done = !given_up && error->code == ERR_OK;
        (done ? admission_learn : admission_learn_min)(job->entry, end - begin);
        if (given_up)
            break;
        begin = end;
        if (r->stops_at_failure && error->code != ERR_OK)
            break;
        if (r->codec && r->codec->all_or_none && error->code != ERR_OK) {
            r->failure = *error;
            if (r->part_count > 1)
                error_prefix(&r->failure, error->code, "image %zu", i);
            break;
        }
    }
}

static void announce_end(struct worker *w, int64_t expected_ns)
{
    atomic_store_explicit(&w->free_at_ns, clock_monotonic_ns() + expected_ns, memory_order_relaxed);
}

/* False if the codec finds no parts in the upload. */
static bool read_parts(struct worker *w, const struct job *job)
{
    struct request *r = job->request;
    if (!r->codec || !r->codec->decode)
        return true;
    if (r->codec->decode(r, &r->failure) != ERR_OK)
        return false;
    report_alive(w);
    announce_end(w, admission_expected_ns(job->entry, r->part_count));
    return true;
}

static void make_answer(struct worker *w, const struct job *job)
{
    struct request *r = job->request;
    int64_t begin = clock_monotonic_ns();
    answer_begin(&r->answer, r->bodies);
    r->answer.go_on = go_on;
    r->answer.arg = job->options.limits.arg;
    if (r->failure.code == ERR_OK && !is_abandoned(r) && r->codec->encode(r, &r->failure) == ERR_OK)
        answer_end(&r->answer, &r->failure);
    if (r->failure.code != ERR_OK)
        answer_free(&r->answer);
    request_shed(r);
    r->encode_ns += clock_monotonic_ns() - begin;
    report_alive(w);
}

static void run_request(struct worker *w, struct request *r)
{
    struct job job;
    int code = begin_job(&job, w, r, &r->failure);
    r->started_ns = clock_monotonic_ns();
    metrics_observe(w->context->metrics, HISTOGRAM_stage_duration, STAGE_QUEUE,
                    r->started_ns - r->queued_ns);
    if (code == ERR_OK && read_parts(w, &job) &&
        request_reserve_predictions(r, &r->failure) == ERR_OK)
        run_parts(w, &job);
    if (r->codec)
        make_answer(w, &job);
    completion_finish(&r->completion, is_abandoned(r) ? ERR_DEADLINE : ERR_OK);
}

static void take_request(struct worker *w, struct request *r)
{
    announce_end(w, r->expected_ns);
    if (completion_outcome(&r->completion) == COMPLETION_PENDING)
        run_request(w, r);
    request_release(r);
    atomic_store_explicit(&w->free_at_ns, 0, memory_order_relaxed);
}

static void serve_requests(struct worker *w)
{
    const struct worker_context *s = w->context;
    int64_t wait_ns = s->heartbeat_ns > 0 ? s->heartbeat_ns : -1;
    struct request *r;
    enum queue_result result;
    while ((result = queue_pop(s->queue, w->index, wait_ns, &r)) != QUEUE_CLOSED) {
        report_alive(w);
        if (result == QUEUE_GOT)
            take_request(w, r);
        else if (result == QUEUE_CALLED)
            helpers_work(s->helpers, w->index, report_alive, w);
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

static bool wait_to_begin(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    while (!w->begins && !w->ends)
        pthread_cond_wait(&w->changed, &w->lock);
    bool begins = w->begins;
    pthread_mutex_unlock(&w->lock);
    report_alive(w);
    return begins;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct error error = {0};
    /* Sessions are made here, so that their pages lie near the CPU that will use them. */
    int code = generation_warm(w->first, w->index, &error);
    atomic_store_explicit(&w->alive_ns, INT64_MAX, memory_order_relaxed);
    report_warm(w, &error);
    if (code == ERR_OK && wait_to_begin(w))
        serve_requests(w);
    return NULL;
}

int worker_create(struct worker **out, const struct worker_context *context, int index,
                  struct error *err)
{
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        return error_set(err, ERR_NO_MEMORY, "no memory for a worker");
    w->context = context;
    w->index = index;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    *out = w;
    return ERR_OK;
}

int worker_start(struct worker *worker, const struct generation *generation, struct error *err)
{
    char name[16];
    snprintf(name, sizeof name, "worker/%d", worker->index);
    CHECK(!worker->running);
    worker->first = generation;
    worker->warm_known = worker->begins = worker->ends = false;
    int code = thread_start(&worker->thread, name, worker_main, worker, err);
    worker->running = code == ERR_OK;
    return code;
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

static void tell(struct worker *w, bool *what)
{
    pthread_mutex_lock(&w->lock);
    *what = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

void worker_begin(struct worker *worker)
{
    tell(worker, &worker->begins);
}

void worker_join(struct worker *worker)
{
    if (!worker->running)
        return;
    tell(worker, &worker->ends);
    pthread_join(worker->thread, NULL);
    worker->running = false;
}

void worker_destroy(struct worker *worker)
{
    if (!worker)
        return;
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->lock);
    free(worker);
}
