/* CONCURRENCY
 *
 * reload_ask only sets `wanted` and puts the result in a list. The thread takes both at once. So
 * one run answers all requests that came before it began, and the next run those that came during
 * it, perhaps after the file was read. A result whose client left is finished already: finishing it
 * again does nothing. */
#include "serve/reload.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/threads.h"

struct reload {
    struct reload_settings settings;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct reload_result *results; /* that are waited for: linked by `next`, a reference each */
    bool wanted, running, stopping;
};

static int read_configuration(struct reload *r, struct conf *next, struct error *err)
{
    enum conf_action action;
    int code = conf_load(next, &action, r->settings.argc, r->settings.argv, err);
    if (code != ERR_OK)
        return code;
    struct generation *running = server_generation(r->settings.server);
    code = conf_check_reload(generation_conf(running), next, err);
    generation_release(running);
    return code;
}

static int reload_all(struct reload *r, struct conf_keys *restart_needed, struct error *err)
{
    struct generation *generation;
    struct conf *next = calloc(1, sizeof *next);
    if (!next)
        return error_set(err, ERR_NO_MEMORY, "no memory for the configuration");
    int code = read_configuration(r, next, err);
    if (code == ERR_OK)
        code = server_prepare(r->settings.server, next, &generation, err);
    if (code != ERR_OK) {
        conf_free(next);
        free(next);
        return code;
    }
    if (r->settings.apply)
        code = r->settings.apply(r->settings.arg, next, err);
    if (code != ERR_OK) {
        server_discard(r->settings.server, generation);
        return code;
    }
    log_configure(next->log_level, next->log_format);
    *restart_needed = conf_report_restart_only(r->settings.conf, next);
    server_install(r->settings.server, generation);
    return ERR_OK;
}

/* systemd wants to hear READY=1 after a failure as well: the service works on. */
static void announce(struct server *server, bool begins)
{
    if (server_draining(server))
        return;
    char text[128] = NOTIFY_READY;
    if (begins)
        snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=reloading",
                 (long long)(clock_monotonic_ns() / 1000));
    notify(text);
}

static void run(struct reload *r, struct reload_report *report)
{
    struct server *server = r->settings.server;
    int64_t begin = clock_monotonic_ns();
    announce(server, true);
    int code = reload_all(r, &report->restart_needed, &report->failure);
    if (code == ERR_OK)
        log_info("reloaded after %.0f ms", clock_ns_to_ms(clock_monotonic_ns() - begin));
    else
        log_error("the reload failed, nothing has changed: %s", report->failure.message);
    metrics_add(server_metrics(server), COUNTER_reloads, code == ERR_OK ? RESULT_OK : RESULT_FAILED,
                0, 0, 1);
    announce(server, false);
}

static void finish_all(struct reload_result *results, int outcome,
                       const struct reload_report *report)
{
    while (results) {
        struct reload_result *result = results;
        results = result->next;
        result->report = *report;
        completion_finish(&result->completion, outcome);
        reload_result_release(result);
    }
}

static void serve_askers(struct reload *r, struct reload_result *results)
{
    struct reload_report report = {0};
    /* No models are loaded for a service that is shutting down. */
    bool draining = server_draining(r->settings.server);
    if (!draining)
        run(r, &report);
    finish_all(results, draining ? ERR_DRAINING : ERR_OK, &report);
}

static void *reload_main(void *arg)
{
    struct reload *r = arg;
    pthread_mutex_lock(&r->lock);
    while (!r->stopping) {
        if (!r->wanted) {
            pthread_cond_wait(&r->changed, &r->lock);
            continue;
        }
        struct reload_result *results = r->results;
        r->results = NULL;
        r->wanted = false;
        r->running = true;
        pthread_mutex_unlock(&r->lock);
        serve_askers(r, results);
        pthread_mutex_lock(&r->lock);
        r->running = false;
        pthread_cond_signal(&r->changed); /* who halts waits for that */
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

int reload_start(struct reload **out, const struct reload_settings *settings, struct error *err)
{
    struct reload *r = calloc(1, sizeof *r);
    if (!r)
        return error_set(err, ERR_NO_MEMORY, "no memory for reloads");
    r->settings = *settings;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    int code = thread_start(&r->thread, "reload", reload_main, r, err);
    if (code == ERR_OK)
        *out = r;
    else
        reload_destroy(r);
    return code;
}

int reload_result_create(struct reload_result **out, struct error *err)
{
    struct reload_result *result = calloc(1, sizeof *result);
    if (!result)
        return error_set(err, ERR_NO_MEMORY, "no memory for a request; try again");
    completion_init(&result->completion);
    *out = result;
    return ERR_OK;
}

void reload_result_release(struct reload_result *result)
{
    if (result && completion_release(&result->completion))
        free(result);
}

void reload_ask(struct reload *reload, struct reload_result *result)
{
    pthread_mutex_lock(&reload->lock);
    bool refused = reload->stopping;
    if (result && !refused) {
        completion_reference(&result->completion);
        result->next = reload->results;
        reload->results = result;
    }
    reload->wanted = true;
    pthread_cond_signal(&reload->changed);
    pthread_mutex_unlock(&reload->lock);
    if (result && refused)
        completion_finish(&result->completion, ERR_DRAINING);
}

bool reload_halt(struct reload *reload, int64_t deadline_ns)
{
    if (!reload)
        return true;
    const struct reload_report none = {0};
    const struct timespec until = clock_timespec(deadline_ns);
    int code = 0;
    pthread_mutex_lock(&reload->lock);
    reload->stopping = true;
    pthread_cond_signal(&reload->changed);
    while (reload->running && code == 0)
        code = pthread_cond_clockwait(&reload->changed, &reload->lock, CLOCK_MONOTONIC, &until);
    bool ends = !reload->running;
    struct reload_result *results = reload->results;
    reload->results = NULL;
    pthread_mutex_unlock(&reload->lock);
    if (ends)
        pthread_join(reload->thread, NULL);
    finish_all(results, ERR_DRAINING, &none);
    return ends;
}

void reload_destroy(struct reload *reload)
{
    if (!reload)
        return;
    pthread_cond_destroy(&reload->changed);
    pthread_mutex_destroy(&reload->lock);
    free(reload);
}
