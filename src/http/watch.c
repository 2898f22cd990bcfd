/* CONCURRENCY
 *
 * One thread, the watch, accepts connections and waits for three kinds of events: new connections,
 * clients that close or half-close theirs, and deadlines. HTTP threads tell it what state each
 * connection is in. One mutex guards all peers; it is held for a few pointer moves at a time, a
 * handful of times a request, never across a system call that could wait.
 *
 * Who owns what. A socket belongs to libmicrohttpd from `adopt` until it says that the connection
 * is closed; it calls peer_closed before it closes the socket, and the watch only calls shutdown(2)
 * on a socket while it holds the mutex and the peer is still there. So it never touches a
 * descriptor that was closed and given to somebody else. Who lingers does so on a duplicate, which
 * is the watch's own.
 *
 * A request belongs to the exchange that waits for it. It is known to the watch exactly while its
 * peer is WAITING, that is until the HTTP thread takes the answer; the watch ends it through
 * server_cancel, which a worker may beat to it. Cancelling calls the request's `done`, which
 * resumes the connection, as the end of a pause does: that takes libmicrohttpd's own mutex under
 * ours. libmicrohttpd never calls us with its mutex held, so there is no cycle.
 *
 * A client that closed its side gets an answer to what it had sent before, if that needs no worker,
 * and unless it must make room while it waits for its turn (peers_give_way).
 * libmicrohttpd 0.9.75 can miss the end of the stream when it comes together with data, so
 * such a connection is shut down GONE_NS after it has nothing more to do.
 *
 * Events are looked up by descriptor and generation, so that one that was fetched from the kernel
 * before its peer went away finds nothing.
 */
#include "http/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/threads.h"
#include "http/id.h"
#include "http/peers.h"
#include "http/refusal.h"

enum { EVENTS_AT_ONCE = 64, ACCEPTS_AT_ONCE = 64, KEPT_SHARE = 8 /* of all descriptors */ };

static const int64_t ACCEPT_PAUSE_NS = 100000000;

struct watch {
    struct watch_settings settings;
    struct peers peers;
    pthread_t thread;
    bool started;
    atomic_bool draining;
    _Atomic int64_t alive_ns, max_per_ip;
    bool stop_accepting, quit; /* orders, guarded by the lock of the peers */

    int64_t accept_again_ns; /* DEADLINE_NEVER: accepting, or not any more; the watch's own */
    bool short_of_means;     /* the watch's own */
};

/* How many connections stay, all of them or (not NULL) those of one client. Who half-closed and
 * does not take its answers stays: that takes up its place, too. */
static size_t count_staying(const struct watch *w, const struct in6_addr *source)
{
    size_t count = 0;
    for (size_t fd = 0; fd < w->peers.by_fd_used; fd++) {
        const struct peer *p = w->peers.by_fd[fd];
        if (p && (!source || IN6_ARE_ADDR_EQUAL(&p->client.source, source)))
            count += !peers_is_leaving(p);
    }
    return count;
}

static bool fits(struct watch *w, const struct peer *newcomer, size_t most)
{
    struct peers *all = &w->peers;
    if (all->open - all->given <= most)
        return true;
    /* However slowly libmicrohttpd closes those that are leaving. */
    if (all->open > 2 * most)
        return false;
    return peers_give_way(all, newcomer) || count_staying(w, NULL) <= most;
}

/* The option that a newcomer, counted already, goes against; NULL: none. */
static const char *limit_reached(struct watch *w, const struct peer *newcomer)
{
    size_t all = (size_t)w->settings.conf->max_connections;
    size_t of_client = (size_t)atomic_load(&w->max_per_ip);
    const struct in6_addr *source = &newcomer->client.source;
    /* First, since nobody gives way to who has too many. */
    if (of_client > 0 && !IN6_IS_ADDR_UNSPECIFIED(source) && count_staying(w, source) > of_client)
        return "max_connections_per_ip";
    return all == 0 || fits(w, newcomer, all) ? NULL : "max_connections";
}

struct newcomer {
    const char *limit; /* that it goes against, or NULL */
    uint32_t generation;
    struct client client;
};

/* Lingers so that the client can read the answer. */
static void turn_away(struct watch *w, int fd, const struct newcomer *who)
{
    char id[ID_SIZE];
    id_generate(id);
    struct error err;
    error_set(&err, ERR_OVERLOADED, "too many connections are open already (%s); try again later",
              who->limit);
    if (!w->settings.tls || IN6_IS_ADDR_UNSPECIFIED(&who->client.source))
        refusal_send(fd, NULL, id, &err);
    else
        shutdown(fd, SHUT_WR);
    metrics_add(server_metrics(w->settings.server), COUNTER_rejected, REASON_CONNECTIONS, 0, 0, 1);
    refusal_log(id, who->client.text, who->limit);
    pthread_mutex_lock(&w->peers.lock);
    peers_linger(&w->peers, fd, &who->client.source);
    pthread_mutex_unlock(&w->peers.lock);
}

/* Counts a new connection, unless it goes against a limit. False without memory or descriptors. */
static bool admit(struct watch *w, int fd, const struct sockaddr *address, struct newcomer *out)
{
    struct peer *p = peers_add(&w->peers, fd);
    if (!p)
        return false;
    client_describe(&p->client, address);
    *out = (struct newcomer){limit_reached(w, p), p->generation, p->client};
    if (out->limit)
        peers_remove(p);
    else
        peers_arm(p, TIMER_OPENING);
    return true;
}

/* A connection that could not be handed on; its socket is closed. */
static void forget(struct watch *w, int fd, uint32_t generation)
{
    pthread_mutex_lock(&w->peers.lock);
    struct peer *p = w->peers.by_fd[fd];
    if (p && p->generation == generation)
        peers_remove(p);
    pthread_mutex_unlock(&w->peers.lock);
}

static void accept_one(struct watch *w, int fd, const struct sockaddr *address, socklen_t length)
{
    struct newcomer newcomer;
    pthread_mutex_lock(&w->peers.lock);
    bool counted = admit(w, fd, address, &newcomer);
    pthread_mutex_unlock(&w->peers.lock);
    if (!counted)
        close(fd);
    else if (newcomer.limit)
        turn_away(w, fd, &newcomer);
    else if (!w->settings.adopt(w->settings.arg, fd, address, length))
        forget(w, fd, newcomer.generation);
}

static void set_accepting(struct watch *w, bool on)
{
    for (size_t i = 0; i < w->settings.listen_fd_count; i++) {
        int fd = w->settings.listen_fds[i];
        if (on)
            peers_watch_descriptor(&w->peers, fd, 0, EPOLLIN);
        else
            epoll_ctl(w->peers.epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    }
}

/* Out of descriptors or memory: connections wait in the backlog until some are free again. */
static void pause_accepting(struct watch *w, int reason)
{
    if (!w->short_of_means)
        log_warning("accepting pauses: %s", strerror(reason));
    w->short_of_means = true;
    set_accepting(w, false);
    w->accept_again_ns = clock_monotonic_ns() + ACCEPT_PAUSE_NS;
}

static bool is_shortage(int reason)
{
    return reason == EMFILE || reason == ENFILE || reason == ENOBUFS || reason == ENOMEM;
}

/* Whether the next descriptor is none of those that are kept. */
static bool may_take_descriptor(const struct watch *w)
{
    size_t kept = w->peers.by_fd_size / KEPT_SHARE;
    if (w->settings.descriptors_kept < kept)
        kept = w->settings.descriptors_kept;
    if (kept == 0)
        return true;
    int next = fcntl(w->peers.wake_fd, F_DUPFD_CLOEXEC, 0);
    if (next >= 0)
        close(next);
    return next >= 0 && (size_t)next < w->peers.by_fd_size - kept;
}

static void accept_some(struct watch *w, int listen_fd, int most)
{
    for (int i = 0; i < most; i++) {
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof address;
        if (!may_take_descriptor(w)) {
            pause_accepting(w, EMFILE);
            return;
        }
        int fd =
            accept4(listen_fd, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            w->short_of_means = false;
            accept_one(w, fd, (const struct sockaddr *)&address, length);
        } else if (is_shortage(errno)) {
            pause_accepting(w, errno);
            return;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

static void stop_accepting(struct watch *w)
{
    /* Who stands in the backlog has been accepted by the kernel: answer, do not reset. */
    for (size_t i = 0; i < w->settings.listen_fd_count; i++)
        accept_some(w, w->settings.listen_fds[i], SOMAXCONN);
    set_accepting(w, false);
    w->accept_again_ns = DEADLINE_NEVER;
    pthread_mutex_lock(&w->peers.lock);
    w->peers.accepting_stopped = true;
    for (size_t fd = 0; fd < w->peers.by_fd_used; fd++)
        if (w->peers.by_fd[fd])
            peers_hurry(w->peers.by_fd[fd]);
    linger_end_by(&w->peers.linger, clock_monotonic_ns() + LINGER_NS);
    pthread_cond_broadcast(&w->peers.changed);
    pthread_mutex_unlock(&w->peers.lock);
}

static void handle_event(struct watch *w, uint64_t tag, uint32_t events)
{
    int fd = (int)(uint32_t)tag;
    uint64_t count;
    if (tag >> 32) {
        pthread_mutex_lock(&w->peers.lock);
        peers_handle_event(&w->peers, tag, events);
        pthread_mutex_unlock(&w->peers.lock);
    } else if (fd == w->peers.wake_fd) {
        ssize_t n = read(w->peers.wake_fd, &count, sizeof count);
        (void)n;
    } else if (!w->peers.accepting_stopped) {
        accept_some(w, fd, ACCEPTS_AT_ONCE);
    }
}

/* How long to sleep, in milliseconds rounded up; -1: until something happens. */
static int sleep_time(struct watch *w)
{
    pthread_mutex_lock(&w->peers.lock);
    int64_t until = peers_expire(&w->peers);
    if (w->accept_again_ns < until)
        until = w->accept_again_ns;
    if (w->settings.heartbeat_ns > 0 && clock_monotonic_ns() + w->settings.heartbeat_ns < until)
        until = clock_monotonic_ns() + w->settings.heartbeat_ns;
    w->peers.sleeps_until_ns = until;
    pthread_mutex_unlock(&w->peers.lock);
    if (until == DEADLINE_NEVER)
        return -1;
    int64_t ms = (until - clock_monotonic_ns() + 999999) / 1000000;
    return ms < 0 ? 0 : ms > 3600000 ? 3600000 : (int)ms;
}

static bool obey(struct watch *w)
{
    pthread_mutex_lock(&w->peers.lock);
    bool stop = w->stop_accepting && !w->peers.accepting_stopped, quit = w->quit;
    pthread_mutex_unlock(&w->peers.lock);
    if (stop)
        stop_accepting(w);
    if (!w->peers.accepting_stopped && w->accept_again_ns <= clock_monotonic_ns()) {
        w->accept_again_ns = DEADLINE_NEVER;
        set_accepting(w, true);
    }
    return !quit;
}

static void *watch_main(void *arg)
{
    struct watch *w = arg;
    struct epoll_event events[EVENTS_AT_ONCE];
    while (obey(w)) {
        atomic_store(&w->alive_ns, clock_monotonic_ns());
        int count = epoll_wait(w->peers.epoll_fd, events, EVENTS_AT_ONCE, sleep_time(w));
        for (int i = 0; i < count; i++)
            handle_event(w, events[i].data.u64, events[i].events);
    }
    return NULL;
}

/* --- for other threads --- */

int watch_create(struct watch **out, const struct watch_settings *settings, struct error *err)
{
    struct watch *w = calloc(1, sizeof *w);
    if (!w)
        return error_set(err, ERR_NO_MEMORY, "no memory for the watch");
    w->settings = *settings;
    atomic_init(&w->max_per_ip, settings->conf->max_connections_per_ip);
    atomic_init(&w->alive_ns, clock_monotonic_ns());
    w->accept_again_ns = DEADLINE_NEVER;
    int code = peers_open(&w->peers, settings->conf, settings->server, err);
    if (code != ERR_OK) {
        watch_destroy(w);
        return code;
    }
    set_accepting(w, true);
    *out = w;
    return ERR_OK;
}

int watch_start(struct watch *watch, struct error *err)
{
    int code = thread_start(&watch->thread, watch->settings.name, watch_main, watch, err);
    watch->started = code == ERR_OK;
    return code;
}

void watch_set_limits(struct watch *watch, const struct conf *conf)
{
    atomic_store(&watch->max_per_ip, conf->max_connections_per_ip);
    pthread_mutex_lock(&watch->peers.lock);
    peers_set_limits(&watch->peers, conf);
    pthread_mutex_unlock(&watch->peers.lock);
}

bool watch_alive(const struct watch *watch, int64_t ns)
{
    return clock_monotonic_ns() - atomic_load(&watch->alive_ns) <= ns;
}

void watch_halt(struct watch *watch)
{
    if (!watch->started)
        return;
    watch_cancel_all(watch);
    pthread_mutex_lock(&watch->peers.lock);
    watch->quit = true;
    pthread_mutex_unlock(&watch->peers.lock);
    peers_wake(&watch->peers);
    pthread_join(watch->thread, NULL);
}

void watch_destroy(struct watch *watch)
{
    peers_close(&watch->peers);
    free(watch);
}

void watch_begin_drain(struct watch *watch)
{
    struct peers *peers = &watch->peers;
    atomic_store(&watch->draining, true);
    pthread_mutex_lock(&peers->lock);
    watch->stop_accepting = true;
    peers_wake(peers);
    while (!peers->accepting_stopped)
        pthread_cond_wait(&peers->changed, &peers->lock);
    pthread_mutex_unlock(&peers->lock);
}

bool watch_draining(const struct watch *watch)
{
    return atomic_load(&watch->draining);
}

bool watch_wait_empty(struct watch *watch, int64_t deadline_ns)
{
    struct timespec at = {.tv_sec = deadline_ns / 1000000000, .tv_nsec = deadline_ns % 1000000000};
    pthread_mutex_lock(&watch->peers.lock);
    int rc = 0;
    while ((watch->peers.open > 0 || watch->peers.linger.count > 0) && rc == 0)
        rc = pthread_cond_timedwait(&watch->peers.changed, &watch->peers.lock, &at);
    bool empty = watch->peers.open == 0;
    pthread_mutex_unlock(&watch->peers.lock);
    return empty;
}

void watch_cancel_all(struct watch *watch)
{
    pthread_mutex_lock(&watch->peers.lock);
    watch->peers.cancelled = true;
    for (size_t fd = 0; fd < watch->peers.by_fd_used; fd++) {
        struct peer *p = watch->peers.by_fd[fd];
        if (p && p->state == WAITING)
            peers_cancel(p, ERR_DRAINING);
        else if (p && p->state == PAUSED)
            peers_resume(p);
    }
    pthread_mutex_unlock(&watch->peers.lock);
}

struct peer *watch_adopted(struct watch *watch, int fd)
{
    pthread_mutex_lock(&watch->peers.lock);
    struct peer *p = watch->peers.by_fd[fd];
    pthread_mutex_unlock(&watch->peers.lock);
    CHECK(p);
    return p;
}
