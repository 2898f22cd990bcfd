/* resnextd: the daemon. Starts the parts in order, waits for signals, and drains. */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/notify.h"
#include "base/threads.h"
#include "conf/conf.h"
#include "conf/keys.h"
#include "http/http.h"
#include "image/jpeg.h"
#include "kernel/kernel.h"
#include "serve/reload.h"
#include "serve/server.h"

/* Called before any thread is started, so that signals reach only the main thread, and only when it
 * waits for them. */
static void block_signals(sigset_t *handled)
{
    sigemptyset(handled);
    sigaddset(handled, SIGTERM);
    sigaddset(handled, SIGINT);
    sigaddset(handled, SIGHUP);
    sigprocmask(SIG_BLOCK, handled, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* The next signal, or 0 after `wait_ns`. */
static int next_signal(const sigset_t *handled, int64_t wait_ns)
{
    const struct timespec wait = clock_timespec(wait_ns);
    int number = sigtimedwait(handled, NULL, &wait);
    return number > 0 ? number : 0;
}

/* The parts of the service; each may be NULL. */
struct service {
    const struct conf *conf; /* of the start */
    struct http *http;
    struct server *server;
    struct reload *reload;
    int64_t watchdog_ns; /* systemd's watchdog timeout; 0: there is no watchdog */
};

/* Whether SIGTERM or SIGINT has come. */
static bool is_told_to_end(void)
{
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT);
}

/* Runs until SIGTERM or SIGINT. A manager that never gets READY=1 kills the service in the end, so
 * READY=1 is repeated until it is sent. The watchdog is notified while every thread is alive. */
static void serve(struct service *s, const sigset_t *handled)
{
    int64_t wait_ns = s->watchdog_ns > 0 ? s->watchdog_ns / 4 : 3600 * NS_PER_S;
    bool told = notify(NOTIFY_READY);
    for (;;) {
        int number = next_signal(handled, told || wait_ns < NS_PER_S ? wait_ns : NS_PER_S);
        if (number == SIGTERM || number == SIGINT)
            return;
        if (number == SIGHUP)
            reload_ask(s->reload, NULL);
        told = told || notify(NOTIFY_READY);
        bool alive = s->watchdog_ns == 0 || http_alive(s->http, s->watchdog_ns);
        if (s->watchdog_ns > 0 && alive && server_alive(s->server, s->watchdog_ns))
            notify("WATCHDOG=1");
    }
}

/* The watchdog is not notified during a drain. */
static void extend_watchdog(int64_t ms)
{
    char text[64];
    snprintf(text, sizeof text, "WATCHDOG_USEC=%lld\nWATCHDOG=1", (long long)(ms * 1000));
    notify(text);
}

/* Returns the time by which it should be over, on clock_monotonic_ns. */
static int64_t drain(struct service *s, const sigset_t *handled)
{
    struct generation *generation = server_generation(s->server);
    int64_t grace_ms = generation_conf(generation)->drain_grace_ms;
    int64_t timeout_s = generation_conf(generation)->drain_timeout_s;
    generation_release(generation);
    log_info("draining: no new connections after %lld ms, then up to %lld s for open requests",
             (long long)grace_ms, (long long)timeout_s);
    server_begin_drain(s->server);
    notify("STOPPING=1\nSTATUS=draining");
    if (s->watchdog_ns > 0)
        extend_watchdog(grace_ms + (timeout_s + 60) * 1000);
    int64_t grace_ends = clock_monotonic_ns() + grace_ms * NS_PER_MS, left;
    while ((left = grace_ends - clock_monotonic_ns()) > 0)
        next_signal(handled, left); /* a second SIGTERM changes nothing */
    int64_t deadline_ns = clock_monotonic_ns() + timeout_s * NS_PER_S;
    http_drain(s->http, deadline_ns);
    return deadline_ns;
}

/* A worker or a reload that finishes a request calls libmicrohttpd, so both end before it does. A
 * reload that waits for a disk that does not answer cannot be ended. */
static void end(struct service *s, int64_t deadline_ns)
{
    if (!reload_halt(s->reload, deadline_ns)) {
        log_warning("stopped, though a reload is not over (drain_timeout_s)");
        _exit(0);
    }
    server_halt(s->server);
    http_close(s->http);
    reload_destroy(s->reload);
    server_stop(s->server);
}

/* A client that connects to a socket of systemd from which nobody accepts waits for ever. */
static void warn_of_idle_sockets(const struct conf *conf)
{
    bool is_named =
        conf_list_has(&conf->listen, "systemd") || conf_list_has(&conf->admin_listen, "systemd");
    if (!is_named && sd_listen_fds(0) > 0)
        log_warning("systemd handed over sockets that are not served: add \"systemd\" to listen, "
                    "or disable resnextd.socket");
}

/* The formula of CAPACITY.md. A service that exceeds its limit is killed, and with it its clients'
 * requests. */
static void warn_of_memory(const struct service *s)
{
    enum { CONNECTION_BYTES = (80 << 10) + BODIES_SMALL, PART_BYTES = 1 << 10 };
    struct server_load load;
    server_load(s->server, &load);
    uint64_t workers = (uint64_t)load.workers, limit = memory_limit();
    uint64_t requests = load.queue_limit + workers;
    uint64_t max =
        2 * memory_held() + workers * jpeg_decoder_memory((uint64_t)s->conf->max_pixels) +
        requests * (uint64_t)(s->conf->max_body_bytes + s->conf->max_parts * PART_BYTES) +
        (uint64_t)s->conf->max_connections * CONNECTION_BYTES;
    if (max > limit)
        log_warning("clients can make this service take %llu MiB, and there are %llu; lower "
                    "max_pixels, max_body_bytes or workers, or raise the limit (MemoryMax=)",
                    (unsigned long long)(max >> 20), (unsigned long long)(limit >> 20));
}

/* Handles signals in a thread while models load, which may take minutes: SIGTERM and SIGINT end the
 * program, SIGUSR1 ends the thread. */
static void *handle_signals(void *arg)
{
    struct service *s = arg;
    sigset_t handled;
    int number;
    sigemptyset(&handled);
    sigaddset(&handled, SIGTERM);
    sigaddset(&handled, SIGINT);
    sigaddset(&handled, SIGUSR1);
    do
        number = sigwaitinfo(&handled, NULL);
    while (number < 0);
    if (number == SIGUSR1)
        return NULL;
    log_info("stopped before it was ready");
    http_close(s->http);
    _exit(0);
}

static int load(struct service *s, const struct server_settings *settings, struct error *err)
{
    pthread_t thread;
    int code = thread_start(&thread, "start", handle_signals, s, err);
    if (code != ERR_OK)
        return code;
    code = server_start(&s->server, settings, err);
    pthread_kill(thread, SIGUSR1);
    pthread_join(thread, NULL);
    return code;
}

static int apply(void *arg, const struct conf *next, struct error *err)
{
    const struct service *s = arg;
    return http_apply(s->http, next, err);
}

static int start(struct service *s, int argc, char **argv, struct error *err)
{
    struct server_settings server = {.conf = s->conf, .heartbeat_ns = s->watchdog_ns / 4};
    server.endpoints = http_endpoints(&server.endpoint_count);
    int code = http_open(&s->http, s->conf, err);
    if (code == ERR_OK)
        code = load(s, &server, err);
    const struct reload_settings reload = {
        .server = s->server,
        .conf = s->conf,
        .argc = argc,
        .argv = argv,
        .apply = apply,
        .arg = s,
    };
    if (code == ERR_OK)
        code = reload_start(&s->reload, &reload, err);
    return code == ERR_OK ? http_start(s->http, s->server, s->reload, server.heartbeat_ns, err)
                          : code;
}

static int run(const struct conf *conf, int argc, char **argv, struct error *err)
{
    sigset_t handled;
    uint64_t watchdog_us = 0;
    struct service s = {.conf = conf};
    int64_t begin = clock_monotonic_ns();
    block_signals(&handled);
    warn_of_idle_sockets(conf);
    if (sd_watchdog_enabled(0, &watchdog_us) > 0)
        s.watchdog_ns = (int64_t)watchdog_us * NS_PER_US;
    int64_t deadline_ns = begin;
    int code = start(&s, argc, argv, err);
    if (code == ERR_OK) {
        warn_of_memory(&s);
        log_info("ready after %.0f ms", clock_ns_to_ms(clock_monotonic_ns() - begin));
        if (!is_told_to_end())
            serve(&s, &handled);
        deadline_ns = drain(&s, &handled);
    }
    end(&s, deadline_ns);
    if (code == ERR_OK)
        log_info("stopped");
    return code;
}

/* By default malloc keeps tens of MiB in each thread's heap after large blocks were freed. Blocks
 * below the first limit stay in the heap for the next picture; at most the second stays free at a
 * heap's end. */
static void return_large_blocks(void)
{
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 2 << 20);
}

/* Checks that the files that the configuration names exist and fit together, as far as that shows
 * without loading them. */
static int check(const struct conf *conf, struct error *err)
{
    int code = conf_models_check(conf, err);
    if (code == ERR_OK)
        code = http_check(conf, err);
    return code == ERR_OK ? generation_check(conf, err) : code;
}

static int act(enum conf_action action, const struct conf *conf, int argc, char **argv,
               struct error *err)
{
    int code;
    switch (action) {
    case CONF_RUN:
        log_configure(conf->log_level, conf->log_format);
        return_large_blocks();
        code = conf_models_check(conf, err);
        return code == ERR_OK ? run(conf, argc, argv, err) : code;
    case CONF_CHECK:
        return check(conf, err);
    case CONF_PRINT:
        conf_print(conf);
        return ERR_OK;
    case CONF_HASH:
        return keys_hash_input(err);
    case CONF_HELP:
        conf_print_help();
        return ERR_OK;
    case CONF_VERSION:
    case CONF_USAGE: /* has failed */
        break;
    }
    puts(PACKAGE_STRING);
    return ERR_OK;
}

int main(int argc, char **argv)
{
    struct conf conf = {0};
    struct error err;
    enum conf_action action;
    descriptors_fill_standard();
    int code = conf_load(&conf, &action, argc, argv, &err);
    bool started = code == ERR_OK && action == CONF_RUN;
    if (code == ERR_OK)
        code = act(action, &conf, argc, argv, &err);
    if (code != ERR_OK && started)
        log_error("%s", err.message);
    else if (code != ERR_OK)
        fprintf(stderr, "resnextd: %s\n", err.message);
    conf_free(&conf);
    return code == ERR_OK ? 0 : action == CONF_USAGE ? 2 : 1;
}
