/* resnextd: the daemon. Starts the parts in order, waits for signals, and drains. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/reexec.h"
#include "conf/conf.h"
#include "http/http.h"
#include "serve/server.h"

static const int64_t NS_PER_US = 1000, NS_PER_MS = 1000000, NS_PER_S = 1000000000;

/* Before any thread, so that every signal reaches the main thread, and only when it asks. */
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
    const struct timespec wait = {.tv_sec = wait_ns / NS_PER_S, .tv_nsec = wait_ns % NS_PER_S};
    int number = sigtimedwait(handled, NULL, &wait);
    return number > 0 ? number : 0;
}

/* Until SIGTERM or SIGINT. While the workers move, the watchdog (0: there is none) is told so. */
static void serve(struct server *server, const sigset_t *handled, int64_t watchdog_ns)
{
    int64_t wait_ns = watchdog_ns > 0 ? watchdog_ns / 4 : 3600 * NS_PER_S;
    for (;;) {
        int number = next_signal(handled, wait_ns);
        if (number == SIGTERM || number == SIGINT)
            return;
        if (number == SIGHUP)
            log_warning("SIGHUP is ignored: restart to read the configuration anew");
        if (watchdog_ns > 0 && server_alive(server, watchdog_ns))
            sd_notify(0, "WATCHDOG=1");
    }
}

static void drain(struct http *http, struct server *server, const struct conf *conf,
                  const sigset_t *handled)
{
    log_info("draining: no new requests after %lld ms, then up to %lld s for the accepted ones",
             (long long)conf->drain_grace_ms, (long long)conf->drain_timeout_s);
    sd_notify(0, "STOPPING=1\nSTATUS=draining");
    server_begin_drain(server);
    int64_t grace_ends = clock_monotonic_ns() + conf->drain_grace_ms * NS_PER_MS, left;
    while ((left = grace_ends - clock_monotonic_ns()) > 0)
        next_signal(handled, left); /* a second SIGTERM changes nothing */
    http_drain(http, clock_monotonic_ns() + conf->drain_timeout_s * NS_PER_S);
}

/* Who connects to a socket that systemd holds and nobody accepts from waits for ever. */
static void warn_of_idle_sockets(const struct conf *conf)
{
    bool named = false;
    for (size_t i = 0; i < conf->listen.count; i++)
        named = named || strcmp(conf->listen.items[i], "systemd") == 0;
    if (!named && sd_listen_fds(0) > 0)
        log_warning("systemd handed over sockets that are not served: add \"systemd\" to listen, "
                    "or disable resnextd.socket");
}

static int run(const struct conf *conf, struct error *err)
{
    sigset_t handled;
    struct http *http = NULL;
    struct server *server = NULL;
    int64_t begin = clock_monotonic_ns();
    uint64_t watchdog_us = 0;
    block_signals(&handled);
    warn_of_idle_sockets(conf);
    int64_t watchdog_ns =
        sd_watchdog_enabled(0, &watchdog_us) > 0 ? (int64_t)watchdog_us * NS_PER_US : 0;
    struct server_settings settings = {.conf = conf, .heartbeat_ns = watchdog_ns / 4};
    settings.endpoints = http_endpoints(&settings.endpoint_count);
    int code = http_open(&http, conf, err);
    if (code == ERR_OK)
        code = server_start(&server, &settings, err);
    if (code == ERR_OK)
        code = http_start(http, server, err);
    if (code == ERR_OK) {
        log_info("ready after %.0f ms", clock_ns_to_ms(clock_monotonic_ns() - begin));
        sd_notifyf(0, "READY=1\nSTATUS=serving %zu model(s)", server_model_count(server));
        serve(server, &handled, watchdog_ns);
        drain(http, server, conf, &handled);
    }
    http_close(http);
    server_stop(server);
    if (code == ERR_OK)
        log_info("stopped");
    return code;
}

int main(int argc, char **argv)
{
    reexec_with_one_blas_thread(argv);
    descriptors_fill_standard();
    struct conf conf;
    struct error err;
    enum conf_action action;
    int code = conf_load(&conf, &action, argc, argv, &err);
    if (code != ERR_OK) {
        fprintf(stderr, "resnextd: %s\n", err.message);
    } else if (action == CONF_RUN) {
        log_configure((enum log_level)conf.log_level, (enum log_format)conf.log_format);
        code = run(&conf, &err);
        if (code != ERR_OK)
            log_error("%s", err.message);
    } else if (action == CONF_PRINT) {
        conf_print(&conf);
    } else if (action == CONF_HELP) {
        conf_print_help();
    } else if (action == CONF_VERSION) {
        puts(PACKAGE_STRING);
    }
    conf_free(&conf);
    return code == ERR_OK ? 0 : 1;
}
