/* CONCURRENCY
 *
 * Every reload may change the number of workers. Any thread can read it with queue_workers. The
 * reload thread makes the next generation, with sessions for each worker, and starts the missing
 * workers, which wait. When the generation is installed, queue_resize first sets the number of
 * workers. Each surplus worker then finishes its current request and ends; it is joined when it is
 * needed again, or when the server halts. So no surplus worker takes a request of a generation that
 * has no sessions for it. A new worker may get a request of an older generation that was made for
 * fewer workers; the worker then makes its own sessions in that generation.
 *
 * A thread that has read this number may use that many elements of `workers` without a lock: an
 * element is stored before the number is raised, and it exists as long as the server, with or
 * without a thread. */
#include "serve/server.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/threads.h"
#include "serve/admission.h"
#include "serve/generation_parts.h"
#include "serve/queue.h"
#include "serve/worker.h"

enum { QUEUE_LIMIT_PER_WORKER = 8 };

struct server {
    struct metrics *metrics;
    struct bodies bodies;
    pthread_mutex_t lock; /* of `generation`; held for a few instructions */
    struct generation *generation;
    struct queue *queue;
    struct worker_context context;
    struct worker *workers[WORKERS_MAX];
    atomic_int spare_cpus;
    double start_time; /* seconds since the epoch */
    atomic_bool draining;
};

static int create_metrics(struct server *s, const struct server_settings *settings,
                          struct error *err)
{
    const char *const build[] = {"version", PACKAGE_VERSION, "compiler", __VERSION__, NULL};
    int code = metrics_create(&s->metrics, settings->endpoints, settings->endpoint_count, err);
    if (code != ERR_OK)
        return code;
    char *line = metrics_info_line(build), **lines = calloc(2, sizeof *lines);
    if (!line || !lines) {
        free(line);
        free(lines);
        return error_set(err, ERR_NO_MEMORY, "no memory for the metrics");
    }
    lines[0] = line;
    metrics_set_info(s->metrics, INFO_build_info, lines);
    return ERR_OK;
}

/* Ends the workers below `count` that have not begun. */
static void dismiss_new_workers(struct server *s, int count)
{
    for (int i = queue_workers(s->queue); i < count; i++)
        if (s->workers[i])
            worker_join(s->workers[i]);
}

static int start_worker(struct server *s, const struct generation *generation, int i,
                        struct error *err)
{
    int code = ERR_OK;
    if (s->workers[i])
        worker_join(s->workers[i]); /* a surplus worker may still be running its last request */
    else
        code = worker_create(&s->workers[i], &s->context, i, err);
    return code == ERR_OK ? worker_start(s->workers[i], generation, err) : code;
}

/* Starts the workers that a generation has in addition, and waits until they are warm. */
static int start_workers(struct server *s, const struct generation *generation, struct error *err)
{
    int first = queue_workers(s->queue), count = generation_workers(generation);
    int code = helpers_grow(s->context.helpers, count, err);
    for (int i = first; code == ERR_OK && i < count; i++)
        code = start_worker(s, generation, i, err);
    for (int i = first; code == ERR_OK && i < count; i++)
        code = worker_wait_warm(s->workers[i], err);
    if (code != ERR_OK)
        dismiss_new_workers(s, count);
    return code;
}

static int warm_all(struct server *s, const struct generation *generation, struct error *err)
{
    int working = queue_workers(s->queue), count = generation_workers(generation), code = ERR_OK;
    if (count > working)
        code = generation_check_memory(generation, count - working, err);
    for (int i = 0; code == ERR_OK && i < count && i < working; i++)
        code = generation_warm(generation, i, err);
    return code == ERR_OK ? start_workers(s, generation, err) : code;
}

static int prepare(struct server *s, const struct conf *conf, struct generation **out,
                   struct error *err)
{
    struct generation *next;
    int workers = conf->workers > 0 ? (int)conf->workers : thread_cpu_budget();
    int code = generation_create(&next, conf, workers, s->metrics, err);
    if (code != ERR_OK)
        return code;
    code = warm_all(s, next, err);
    if (code != ERR_OK)
        generation_release(next);
    else
        *out = next;
    return code;
}

int server_start(struct server **out, const struct server_settings *settings, struct error *err)
{
    struct generation *first;
    struct server *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, ERR_NO_MEMORY, "no memory for the server");
    s->start_time = (double)time(NULL);
    pthread_mutex_init(&s->lock, NULL);
    int code = create_metrics(s, settings, err);
    if (code == ERR_OK)
        code = queue_create(&s->queue, err);
    if (code == ERR_OK)
        code = helpers_create(&s->context.helpers, s->queue, err);
    s->context.queue = s->queue;
    s->context.metrics = s->metrics;
    s->context.heartbeat_ns = settings->heartbeat_ns;
    if (code == ERR_OK)
        code = prepare(s, settings->conf, &first, err);
    if (code != ERR_OK) {
        server_stop(s);
        return code;
    }
    server_install(s, first);
    *out = s;
    return ERR_OK;
}

void server_halt(struct server *server)
{
    if (!server)
        return;
    if (server->queue)
        queue_close(server->queue);
    for (int i = 0; i < WORKERS_MAX; i++)
        if (server->workers[i])
            worker_join(server->workers[i]);
}

void server_stop(struct server *server)
{
    if (!server)
        return;
    server_halt(server);
    for (int i = 0; i < WORKERS_MAX; i++)
        worker_destroy(server->workers[i]);
    helpers_destroy(server->context.helpers);
    queue_destroy(server->queue);
    generation_release(server->generation);
    metrics_destroy(server->metrics);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

struct generation *server_generation(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    struct generation *generation = server->generation;
    generation_reference(generation);
    pthread_mutex_unlock(&server->lock);
    return generation;
}

int server_prepare(struct server *server, struct conf *conf, struct generation **out,
                   struct error *err)
{
    int code = prepare(server, conf, out, err);
    if (code == ERR_OK)
        generation_own_conf(*out);
    return code;
}

/* Bodies together may take what the requests that may wait or run take at their largest. */
static void resize(struct server *s, const struct conf *conf, int workers)
{
    int cpus = thread_cpu_budget(), before = queue_workers(s->queue);
    size_t limit = conf->queue_limit > 0 ? (size_t)conf->queue_limit
                                         : (size_t)workers * QUEUE_LIMIT_PER_WORKER;
    queue_resize(s->queue, limit, workers);
    for (int i = before; i < workers; i++)
        worker_begin(s->workers[i]);
    atomic_store(&s->spare_cpus, cpus > workers ? cpus - workers : 0);
    atomic_store(&s->bodies.limit, (limit + (size_t)workers) * (size_t)conf->max_body_bytes);
    if (before > 0 && before != workers)
        log_info("%d workers now, %d before", workers, before);
}

void server_discard(struct server *server, struct generation *generation)
{
    dismiss_new_workers(server, generation_workers(generation));
    generation_release(generation);
}

void server_install(struct server *server, struct generation *generation)
{
    char **lines = generation_take_info_lines(generation);
    resize(server, generation_conf(generation), generation_workers(generation));
    pthread_mutex_lock(&server->lock);
    struct generation *old = server->generation;
    server->generation = generation;
    pthread_mutex_unlock(&server->lock);
    metrics_set_info(server->metrics, INFO_model_info, lines);
    generation_release(old);
}

void server_begin_drain(struct server *server)
{
    atomic_store(&server->draining, true);
}

bool server_draining(const struct server *server)
{
    return atomic_load(&server->draining);
}

void server_load(struct server *server, struct server_load *load)
{
    int64_t queued_ns, now = clock_monotonic_ns();
    struct admission_work work = {.workers = queue_workers(server->queue)};
    for (int i = 0; i < work.workers; i++) {
        int64_t free_at_ns = worker_free_at_ns(server->workers[i]);
        work.busy += free_at_ns != 0;
        work.remaining_ns += free_at_ns > now ? free_at_ns - now : 0;
    }
    load->queue_depth = queue_depth(server->queue, &queued_ns);
    load->queue_limit = queue_limit(server->queue);
    load->workers = work.workers;
    load->workers_busy = work.busy;
    load->spare_cpus = atomic_load(&server->spare_cpus);
    load->wait_ns = admission_wait_ns(&work, load->queue_depth, queued_ns);
}

int server_retry_after_s(struct server *server)
{
    struct server_load load;
    server_load(server, &load);
    return admission_retry_after_s(load.wait_ns);
}

int server_check_capacity(struct server *server, int64_t waited_ns, int64_t timeout_ns,
                          struct error *err)
{
    struct server_load load;
    server_load(server, &load);
    if (load.queue_depth >= load.queue_limit)
        return error_set(err, ERR_OVERLOADED,
                         "%zu requests are waiting already (queue_limit); try again later",
                         load.queue_limit);
    int64_t wait_ns = waited_ns + load.wait_ns;
    if (wait_ns > timeout_ns)
        return error_set(err, ERR_NO_TIME,
                         "the wait is about %.0f ms, more than the %.0f ms this "
                         "request has; try again later",
                         clock_ns_to_ms(wait_ns), clock_ns_to_ms(timeout_ns));
    return ERR_OK;
}

int server_ready(struct server *server, struct error *err)
{
    if (server_draining(server))
        return error_set(err, ERR_DRAINING, "%s", error_text(ERR_DRAINING));
    struct generation *generation = server_generation(server);
    const struct conf *conf = generation_conf(generation);
    int64_t timeout_ns = conf->request_timeout_ms * NS_PER_MS, small = conf->max_body_bytes;
    generation_release(generation);
    if (!bodies_have_space(&server->bodies, (size_t)(small < BODIES_SMALL ? small : BODIES_SMALL)))
        return error_set(err, ERR_OVERLOADED,
                         "the memory for the bodies of requests and answers is full "
                         "(max_body_bytes, queue_limit); try again later");
    return server_check_capacity(server, 0, timeout_ns, err);
}

/* Whether there is time for the wait and the work. Without a wait it is not asked, see admission.h.
 */
static bool is_in_time(struct server *server, const struct request *r)
{
    struct server_load load;
    server_load(server, &load);
    return load.wait_ns == 0 ||
           r->queued_ns + load.wait_ns + r->expected_ns <= r->completion.deadline_ns;
}

void server_submit(struct server *server, struct request *request)
{
    const struct served_model *entry = generation_entry(request->generation, request->model);
    size_t pictures = request->part_count > 0 ? request->part_count : request->expected_pictures;
    request->expected_ns = admission_expected_ns(entry, pictures > 0 ? pictures : 1);
    request->queued_ns = clock_monotonic_ns();
    int code = is_in_time(server, request) ? queue_push(server->queue, request) : (int)ERR_NO_TIME;
    if (code == ERR_OK)
        return;
    request->queued_ns = 0;
    completion_finish(&request->completion, code);
}

void server_cancel(struct server *server, struct request *request, int outcome)
{
    CHECK(outcome < ERR_OK);
    /* Out of the queue first: the winner's `done` may give up the caller's own reference. */
    queue_remove(server->queue, request);
    completion_finish(&request->completion, outcome);
}

bool server_alive(struct server *server, int64_t ns)
{
    int64_t now = clock_monotonic_ns();
    for (int i = 0, count = queue_workers(server->queue); i < count; i++)
        if (now - worker_alive_ns(server->workers[i]) > ns)
            return false;
    return true;
}

struct metrics *server_metrics(struct server *server)
{
    return server->metrics;
}

struct bodies *server_bodies(struct server *server)
{
    return &server->bodies;
}

char *server_render_metrics(struct server *server, size_t *length)
{
    struct server_load load;
    double gauges[GAUGE_COUNT];
    for (size_t i = 0; i < GAUGE_COUNT; i++)
        gauges[i] = NAN;
    server_load(server, &load);
    metrics_process(gauges);
    gauges[GAUGE_log_lines_dropped] = (double)log_dropped();
    gauges[GAUGE_expected_wait] = clock_ns_to_s(load.wait_ns);
    gauges[GAUGE_queue_depth] = (double)load.queue_depth;
    gauges[GAUGE_queue_limit] = (double)load.queue_limit;
    gauges[GAUGE_body_bytes] = (double)atomic_load(&server->bodies.used);
    gauges[GAUGE_body_limit] = (double)atomic_load(&server->bodies.limit);
    gauges[GAUGE_workers] = load.workers;
    gauges[GAUGE_workers_busy] = load.workers_busy;
    gauges[GAUGE_start_time] = server->start_time;
    return metrics_render(server->metrics, gauges, length);
}
