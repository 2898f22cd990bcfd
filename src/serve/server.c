#include "serve/server.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/threads.h"
#include "serve/catalog.h"
#include "serve/queue.h"
#include "serve/worker.h"

enum { QUEUE_LIMIT_PER_WORKER = 8 };

struct server {
    struct metrics *metrics;
    struct catalog catalog;
    struct queue *queue;
    struct worker_surroundings surroundings;
    struct worker **workers;
    int worker_count;
    double start_time; /* seconds since the epoch */
    atomic_bool draining;
};

static int create_metrics(struct server *s, const struct server_settings *settings,
                          struct error *err)
{
    const struct conf *conf = settings->conf;
    const char **models = calloc(conf->model_count, sizeof *models);
    if (!models)
        return error_set(err, ERR_NO_MEMORY, "no memory for the metrics");
    for (size_t i = 0; i < conf->model_count; i++)
        models[i] = conf->models[i].name;
    const struct metrics_names names = {settings->endpoints, settings->endpoint_count, models,
                                        conf->model_count};
    const char *const build[] = {"version", PACKAGE_VERSION, "compiler", __VERSION__, NULL};
    int code = metrics_create(&s->metrics, &names, err);
    free(models);
    if (code != ERR_OK)
        return code;
    return metrics_info(s->metrics, INFO_build_info, build, err);
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

int server_start(struct server **out, const struct server_settings *settings, struct error *err)
{
    const struct conf *conf = settings->conf;
    int workers = conf->workers > 0 ? (int)conf->workers : thread_cpu_budget();
    size_t limit = conf->queue_limit > 0 ? (size_t)conf->queue_limit
                                         : (size_t)workers * QUEUE_LIMIT_PER_WORKER;
    struct server *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, ERR_NO_MEMORY, "no memory for the server");
    s->start_time = (double)time(NULL);
    int code = create_metrics(s, settings, err);
    if (code == ERR_OK)
        code = catalog_open(&s->catalog, conf, s->metrics, err);
    if (code == ERR_OK)
        code = queue_create(&s->queue, limit, err);
    if (code != ERR_OK)
        goto fail;
    s->surroundings = (struct worker_surroundings){
        .catalog = &s->catalog,
        .queue = s->queue,
        .metrics = s->metrics,
        .options = {.max_pixels = (uint64_t)conf->max_pixels,
                    .orientation = (enum exif_orientation)conf->exif_orientation,
                    .decode = (enum decode_mode)conf->decode},
        .heartbeat_ns = settings->heartbeat_ns,
    };
    code = start_workers(s, workers, err);
    if (code != ERR_OK)
        goto fail;
    *out = s;
    return ERR_OK;
fail:
    server_stop(s);
    return code;
}

void server_stop(struct server *server)
{
    if (!server)
        return;
    if (server->queue)
        queue_close(server->queue);
    for (int i = 0; i < server->worker_count; i++)
        worker_join(server->workers[i]);
    free(server->workers);
    queue_destroy(server->queue);
    catalog_close(&server->catalog);
    metrics_destroy(server->metrics);
    free(server);
}

void server_begin_drain(struct server *server)
{
    atomic_store(&server->draining, true);
}

bool server_draining(const struct server *server)
{
    return atomic_load(&server->draining);
}

int server_check_room(struct server *server, struct error *err)
{
    if (queue_depth(server->queue) < queue_limit(server->queue))
        return ERR_OK;
    return error_set(err, ERR_OVERLOADED,
                     "%zu requests are waiting already (queue_limit); try again later",
                     queue_limit(server->queue));
}

int server_ready(struct server *server, struct error *err)
{
    if (server_draining(server))
        return error_set(err, ERR_DRAINING, "this server is shutting down; ask another one");
    return server_check_room(server, err);
}

void server_submit(struct server *server, struct request *request)
{
    request->queued_ns = clock_monotonic_ns();
    int code = queue_push(server->queue, request);
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

size_t server_model_count(const struct server *server)
{
    return server->catalog.count;
}

const struct model_info *server_model(const struct server *server, size_t index)
{
    CHECK(index < server->catalog.count);
    return &server->catalog.entries[index].info;
}

int server_find_model(const struct server *server, const char *name, size_t *index,
                      struct error *err)
{
    const struct catalog *catalog = &server->catalog;
    *index = catalog->default_index;
    if (!name)
        return ERR_OK;
    char known[256] = "";
    size_t length = 0;
    for (size_t i = 0; i < catalog->count; i++) {
        if (strcmp(catalog->entries[i].info.name, name) == 0) {
            *index = i;
            return ERR_OK;
        }
        int n = snprintf(known + length, sizeof known - length, "%s%s", i ? ", " : "",
                         catalog->entries[i].info.name);
        length = length + (size_t)n < sizeof known ? length + (size_t)n : sizeof known - 1;
    }
    return error_set(err, ERR_MODEL_UNKNOWN, "no model \"%.64s\" is loaded; there is: %s", name,
                     known);
}

void server_load(struct server *server, struct server_load *load)
{
    load->queue_depth = queue_depth(server->queue);
    load->queue_limit = queue_limit(server->queue);
    load->workers = server->worker_count;
    load->workers_busy = atomic_load_explicit(&server->surroundings.busy, memory_order_relaxed);
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

char *server_render_metrics(struct server *server, size_t *length)
{
    struct server_load load;
    double gauges[GAUGE_COUNT];
    server_load(server, &load);
    metrics_process(gauges);
    gauges[GAUGE_queue_depth] = (double)load.queue_depth;
    gauges[GAUGE_queue_limit] = (double)load.queue_limit;
    gauges[GAUGE_workers] = load.workers;
    gauges[GAUGE_workers_busy] = load.workers_busy;
    gauges[GAUGE_start_time] = server->start_time;
    return metrics_render(server->metrics, gauges, length);
}
