#include "serve/server.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/threads.h"
#include "serve/admission.h"
#include "serve/edition_parts.h"
#include "serve/queue.h"
#include "serve/worker.h"

enum { QUEUE_LIMIT_PER_WORKER = 8 };

struct server {
    struct metrics *metrics;
    struct bodies bodies;
    pthread_mutex_t lock; /* of `edition`; held for a few instructions */
    struct edition *edition;
    struct queue *queue;
    struct worker_surroundings surroundings;
    struct worker **workers;
    int worker_count, cpus, spare_cpus; /* CPUs as of the start */
    double start_time;                  /* seconds since the epoch */
    atomic_bool draining;
    bool halted;
};

static int create_metrics(struct server *s, const struct server_settings *settings,
                          struct error *err)
{
    const struct metrics_names names = {settings->endpoints, settings->endpoint_count};
    const char *const build[] = {"version", PACKAGE_VERSION, "compiler", __VERSION__, NULL};
    int code = metrics_create(&s->metrics, &names, err);
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

static int start_workers(struct server *s, int count, struct error *err)
{
    s->workers = calloc((size_t)count, sizeof(struct worker *));
    if (!s->workers)
        return error_set(err, ERR_NO_MEMORY, "no memory for %d workers", count);
    for (int i = 0; i < count; i++) {
        int code = worker_start(&s->workers[i], &s->surroundings, i, err);
        if (code != ERR_OK)
            return code;
        s->worker_count++;
    }
    for (int i = 0; i < count; i++) {
        int code = worker_wait_warm(s->workers[i], err);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

/* As much as the requests that may wait or run take at their largest. */
static void limit_bodies(struct server *s, const struct conf *conf)
{
    size_t requests = queue_limit(s->queue) + (size_t)s->worker_count;
    atomic_store(&s->bodies.limit, requests * (size_t)conf->max_body_bytes);
}

int server_start(struct server **out, const struct server_settings *settings, struct error *err)
{
    const struct conf *conf = settings->conf;
    int cpus = thread_cpu_budget(), workers = conf->workers > 0 ? (int)conf->workers : cpus;
    size_t limit = conf->queue_limit > 0 ? (size_t)conf->queue_limit
                                         : (size_t)workers * QUEUE_LIMIT_PER_WORKER;
    struct server *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, ERR_NO_MEMORY, "no memory for the server");
    s->start_time = (double)time(NULL);
    s->cpus = cpus;
    s->spare_cpus = cpus > workers ? cpus - workers : 0;
    pthread_mutex_init(&s->lock, NULL);
    struct edition *first = NULL;
    int code = create_metrics(s, settings, err);
    if (code == ERR_OK)
        code = edition_create(&first, conf, workers, s->metrics, err);
    if (code == ERR_OK)
        server_install(s, first);
    if (code == ERR_OK)
        code = edition_check_room(s->edition, err);
    if (code == ERR_OK)
        code = queue_create(&s->queue, limit, err);
    if (code == ERR_OK)
        code = crew_create(&s->surroundings.crew, workers, s->queue, err);
    if (code != ERR_OK)
        goto fail;
    s->surroundings = (struct worker_surroundings){
        .first = s->edition,
        .queue = s->queue,
        .crew = s->surroundings.crew,
        .metrics = s->metrics,
        .heartbeat_ns = settings->heartbeat_ns,
    };
    code = start_workers(s, workers, err);
    if (code != ERR_OK)
        goto fail;
    limit_bodies(s, conf);
    *out = s;
    return ERR_OK;
fail:
    server_stop(s);
    return code;
}

void server_halt(struct server *server)
{
    if (!server)
        return;
    if (server->queue)
        queue_close(server->queue);
    for (int i = 0; i < server->worker_count && !server->halted; i++)
        worker_join(server->workers[i]);
    server->halted = true;
}

void server_stop(struct server *server)
{
    if (!server)
        return;
    server_halt(server);
    for (int i = 0; i < server->worker_count; i++)
        worker_destroy(server->workers[i]);
    free(server->workers);
    crew_destroy(server->surroundings.crew);
    queue_destroy(server->queue);
    edition_release(server->edition);
    metrics_destroy(server->metrics);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

struct edition *server_edition(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    struct edition *edition = server->edition;
    edition_reference(edition);
    pthread_mutex_unlock(&server->lock);
    return edition;
}

int server_prepare(struct server *server, struct conf *conf, struct edition **out,
                   struct error *err)
{
    struct edition *next;
    int workers = server->worker_count;
    int code = edition_create(&next, conf, workers, server->metrics, err);
    if (code != ERR_OK)
        return code;
    for (int i = 0; code == ERR_OK && i < workers; i++)
        code = edition_warm(next, i, err);
    if (code != ERR_OK) {
        edition_release(next);
        return code;
    }
    edition_own_conf(next);
    *out = next;
    return ERR_OK;
}

void server_install(struct server *server, struct edition *edition)
{
    char **lines = edition_take_info_lines(edition);
    pthread_mutex_lock(&server->lock);
    struct edition *old = server->edition;
    server->edition = edition;
    if (old)
        limit_bodies(server, edition_conf(edition));
    pthread_mutex_unlock(&server->lock);
    metrics_set_info(server->metrics, INFO_model_info, lines);
    edition_release(old);
}

void server_report_cpus(const struct server *server, const struct conf *conf)
{
    int cpus = thread_cpu_budget();
    if (conf->workers == 0 && cpus != server->cpus)
        log_warning("this service may use %d CPUs now, and %d when it started; workers = 0 counts "
                    "them only at a restart",
                    cpus, server->cpus);
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
    struct admission_hands hands = {
        .workers = server->worker_count,
        .busy = atomic_load_explicit(&server->surroundings.busy, memory_order_relaxed),
    };
    for (int i = 0; i < server->worker_count; i++) {
        int64_t left = worker_free_at_ns(server->workers[i]) - now;
        hands.remaining_ns += left > 0 ? left : 0;
    }
    load->queue_depth = queue_depth(server->queue, &queued_ns);
    load->queue_limit = queue_limit(server->queue);
    load->workers = hands.workers;
    load->workers_busy = hands.busy;
    load->spare_cpus = server->spare_cpus;
    load->wait_ns = admission_wait_ns(&hands, load->queue_depth, queued_ns);
}

int server_retry_after_s(struct server *server)
{
    struct server_load load;
    server_load(server, &load);
    return admission_retry_after_s(load.wait_ns);
}

int server_check_room(struct server *server, int64_t timeout_ns, struct error *err)
{
    struct server_load load;
    server_load(server, &load);
    if (load.queue_depth >= load.queue_limit)
        return error_set(err, ERR_OVERLOADED,
                         "%zu requests are waiting already (queue_limit); try again later",
                         load.queue_limit);
    if (load.wait_ns > timeout_ns)
        return error_set(err, ERR_NO_TIME,
                         "the wait for a worker is about %.0f ms, more than the %.0f ms this "
                         "request has; try again later",
                         clock_ns_to_ms(load.wait_ns), clock_ns_to_ms(timeout_ns));
    return ERR_OK;
}

int server_ready(struct server *server, struct error *err)
{
    if (server_draining(server))
        return error_set(err, ERR_DRAINING, "this server is shutting down; ask another one");
    struct edition *edition = server_edition(server);
    const struct conf *conf = edition_conf(edition);
    int64_t timeout_ns = conf->request_timeout_ms * 1000000, small = conf->max_body_bytes;
    edition_release(edition);
    if (!bodies_have_room(&server->bodies, (size_t)(small < BODIES_SMALL ? small : BODIES_SMALL)))
        return error_set(err, ERR_OVERLOADED,
                         "the memory for the bodies of requests and answers is full "
                         "(max_body_bytes, queue_limit); try again later");
    return server_check_room(server, timeout_ns, err);
}

/* Whether there is time for the wait and the work. Without a wait it is not asked, see admission.h.
 */
static bool is_in_time(struct server *server, const struct request *r)
{
    struct server_load load;
    server_load(server, &load);
    return load.wait_ns == 0 || r->queued_ns + load.wait_ns + r->expected_ns <= r->deadline_ns;
}

void server_submit(struct server *server, struct request *request)
{
    const struct catalog *catalog = edition_catalog(request->edition);
    /* What a codec has not read yet has one picture at least. */
    size_t pictures = request->part_count > 0 ? request->part_count : 1;
    request->expected_ns = admission_expected_ns(&catalog->entries[request->model], pictures);
    request->queued_ns = clock_monotonic_ns();
    int code = is_in_time(server, request) ? queue_push(server->queue, request) : (int)ERR_NO_TIME;
    if (code == ERR_OK)
        return;
    request->queued_ns = 0;
    request_finish(request, code);
}

void server_cancel(struct server *server, struct request *request, int outcome)
{
    CHECK(outcome < ERR_OK);
    /* Out of the queue first: the winner's `done` may give up the caller's own reference. */
    queue_remove(server->queue, request);
    request_finish(request, outcome);
}

bool server_alive(struct server *server, int64_t ns)
{
    int64_t now = clock_monotonic_ns();
    for (int i = 0; i < server->worker_count; i++)
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
