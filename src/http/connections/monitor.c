/* CONCURRENCY
 *
 * One thread, the connection monitor, accepts connections and waits for three kinds of events: new
 * connections, clients that close or half-close their connection, and deadlines. HTTP threads tell
 * it the state of each connection. One mutex guards all peers. It is held for a few pointer moves
 * at a time, a few times per request, and never during a system call that could wait.
 *
 * Ownership. A socket belongs to libmicrohttpd from `adopt` until libmicrohttpd reports that the
 * connection is closed. It calls peer_closed before it closes the socket, and the monitor calls
 * shutdown(2) on a socket only while it holds the mutex and the peer exists. So the monitor never
 * uses a descriptor that was closed and then reused for something else. A lingering connection uses
 * a duplicate of its descriptor, which the monitor owns.
 *
 * A request, or the result of a reload, belongs to the exchange that waits for it. The monitor has
 * a pointer to it only while the peer is WAITING, that is until the HTTP thread takes the answer.
 * The monitor ends the request with peers_cancel, unless a worker finishes it first. peers_cancel
 * calls `done`, which resumes the connection; the end of a pause also resumes it. Resuming locks
 * libmicrohttpd's own mutex while ours is held. libmicrohttpd never calls us while it holds its
 * mutex, so there is no deadlock.
 *
 * A client that has closed its side still gets the answer to the request that it sent before, if
 * that request needs no worker. The exception is a connection that waits for its turn and is cut to
 * make space (peers_give_way). libmicrohttpd 0.9.75 can miss the end of the stream if it arrives
 * together with data, so the monitor shuts a half-closed connection down GONE_NS after it has
 * nothing more to do.
 *
 * The monitor looks up events by descriptor and serial. So an event that the kernel returned before
 * its peer was removed finds no peer.
 */
#include "http/connections/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "base/threads.h"
#include "http/connections/peers.h"
#include "http/connections/refusal.h"

enum { EVENTS_AT_ONCE = 64, ACCEPTS_AT_ONCE = 64, KEPT_SHARE = 8 /* of all descriptors */ };

static const int64_t ACCEPT_PAUSE_NS = 100000000;

struct monitor {
    struct monitor_settings settings;
    struct peers peers;
    pthread_t thread;
    bool started;
    atomic_bool draining;
    _Atomic int64_t alive_ns, max_per_ip;
    bool stop_accepting, quit; /* orders, guarded by the lock of the peers */

    int64_t accept_again_ns; /* DEADLINE_NEVER: accepting, or not any more; the monitor's own */
    bool short_of_means;     /* the monitor's own */
};

/* How many connections stay, of all clients or (if `source` is not NULL) of one. A half-closed
 * connection whose client does not read its answers stays: it uses up its place, too. */
static size_t count_staying(const struct monitor *m, const struct in6_addr *source)
{
    size_t count = 0;
    for (size_t fd = 0; fd < m->peers.by_fd_used; fd++) {
        const struct peer *p = m->peers.by_fd[fd];
        if (p && (!source || IN6_ARE_ADDR_EQUAL(&p->client.source, source)))
            count += !peers_is_leaving(p);
    }
    return count;
}

static bool fits(struct monitor *m, const struct peer *newcomer, size_t max)
{
    struct peers *all = &m->peers;
    if (all->open - all->given <= max)
        return true;
    /* However slowly libmicrohttpd closes those that are leaving. */
    if (all->open > 2 * max)
        return false;
    return peers_give_way(all, newcomer) || count_staying(m, NULL) <= max;
}

/* The option whose limit a new connection, already counted, exceeds; NULL: none. */
static const char *limit_reached(struct monitor *m, const struct peer *newcomer)
{
    size_t all = (size_t)m->settings.conf->max_connections;
    size_t of_client = (size_t)atomic_load(&m->max_per_ip);
    const struct in6_addr *source = &newcomer->client.source;
    /* Checked first, since no connection gives way to a client that has too many. */
    if (of_client > 0 && !IN6_IS_ADDR_UNSPECIFIED(source) && count_staying(m, source) > of_client)
        return "max_connections_per_ip";
    return all == 0 || fits(m, newcomer, all) ? NULL : "max_connections";
}

struct newcomer {
    const char *limit; /* the option whose limit it exceeds, or NULL */
    uint32_t serial;
    struct client client;
};

/* Refuses a connection. It lingers, so that the client can read the answer. */
static void turn_away(struct monitor *m, int fd, const struct newcomer *who)
{
    char id[ID_SIZE];
    id_generate(id);
    struct error err;
    error_set(&err, ERR_OVERLOADED, "too many connections are open already (%s); try again later",
              who->limit);
    if (!m->settings.tls || IN6_IS_ADDR_UNSPECIFIED(&who->client.source))
        refusal_send(fd, NULL, id, &err);
    else
        shutdown(fd, SHUT_WR);
    metrics_add(server_metrics(m->settings.server), COUNTER_rejected, REASON_CONNECTIONS, 0, 0, 1);
    refusal_log(id, who->client.text, who->limit);
    pthread_mutex_lock(&m->peers.lock);
    peers_linger(&m->peers, fd, &who->client.source);
    pthread_mutex_unlock(&m->peers.lock);
}

/* Counts a new connection, unless it exceeds a limit. False without memory or descriptors. */
static bool admit(struct monitor *m, int fd, const struct sockaddr *address, struct newcomer *out)
{
    struct peer *p = peers_add(&m->peers, fd);
    if (!p)
        return false;
    client_describe(&p->client, address);
    *out = (struct newcomer){limit_reached(m, p), p->serial, p->client};
    if (out->limit)
        peers_remove(p);
    else
        peers_arm(p, TIMER_OPENING);
    return true;
}

/* Removes a connection after `adopt` failed; its socket is closed. */
static void forget(struct monitor *m, int fd, uint32_t serial)
{
    pthread_mutex_lock(&m->peers.lock);
    struct peer *p = m->peers.by_fd[fd];
    if (p && p->serial == serial)
        peers_remove(p);
    pthread_mutex_unlock(&m->peers.lock);
}

static void accept_one(struct monitor *m, int fd, const struct sockaddr *address, socklen_t length)
{
    struct newcomer newcomer;
    pthread_mutex_lock(&m->peers.lock);
    bool counted = admit(m, fd, address, &newcomer);
    pthread_mutex_unlock(&m->peers.lock);
    if (!counted)
        close(fd);
    else if (newcomer.limit)
        turn_away(m, fd, &newcomer);
    else if (!m->settings.adopt(m->settings.arg, fd, address, length))
        forget(m, fd, newcomer.serial);
}

static void set_accepting(struct monitor *m, bool on)
{
    for (size_t i = 0; i < m->settings.listen_fd_count; i++) {
        int fd = m->settings.listen_fds[i];
        if (on)
            peers_add_descriptor(&m->peers, fd, 0, EPOLLIN);
        else
            epoll_ctl(m->peers.epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    }
}

/* Out of descriptors or memory: connections wait in the backlog until some are free again. */
static void pause_accepting(struct monitor *m, int reason)
{
    if (!m->short_of_means)
        log_warning("accepting pauses: %s", strerror(reason));
    m->short_of_means = true;
    set_accepting(m, false);
    m->accept_again_ns = clock_monotonic_ns() + ACCEPT_PAUSE_NS;
}

static bool is_shortage(int reason)
{
    return reason == EMFILE || reason == ENFILE || reason == ENOBUFS || reason == ENOMEM;
}

/* Whether the next descriptor is not one of those kept free. */
static bool may_take_descriptor(const struct monitor *m)
{
    size_t kept = m->peers.by_fd_size / KEPT_SHARE;
    if (m->settings.descriptors_kept < kept)
        kept = m->settings.descriptors_kept;
    if (kept == 0)
        return true;
    int next = fcntl(m->peers.wake_fd, F_DUPFD_CLOEXEC, 0);
    if (next >= 0)
        close(next);
    return next >= 0 && (size_t)next < m->peers.by_fd_size - kept;
}

static void accept_some(struct monitor *m, int listen_fd, int max)
{
    for (int i = 0; i < max; i++) {
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof address;
        if (!may_take_descriptor(m)) {
            pause_accepting(m, EMFILE);
            return;
        }
        int fd =
            accept4(listen_fd, (struct sockaddr *)&address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            m->short_of_means = false;
            accept_one(m, fd, (const struct sockaddr *)&address, length);
        } else if (is_shortage(errno)) {
            pause_accepting(m, errno);
            return;
        } else if (errno == EAGAIN) {
            return;
        }
    }
}

static void stop_accepting(struct monitor *m)
{
    /* The kernel has accepted the connections in the backlog: answer them, do not reset them. */
    for (size_t i = 0; i < m->settings.listen_fd_count; i++)
        accept_some(m, m->settings.listen_fds[i], SOMAXCONN);
    set_accepting(m, false);
    m->accept_again_ns = DEADLINE_NEVER;
    pthread_mutex_lock(&m->peers.lock);
    m->peers.accepting_stopped = true;
    for (size_t fd = 0; fd < m->peers.by_fd_used; fd++)
        if (m->peers.by_fd[fd])
            peers_hurry(m->peers.by_fd[fd]);
    linger_end_by(&m->peers.linger, clock_monotonic_ns() + LINGER_NS);
    pthread_cond_broadcast(&m->peers.changed);
    pthread_mutex_unlock(&m->peers.lock);
}

static void handle_event(struct monitor *m, uint64_t tag, uint32_t events)
{
    int fd = (int)(uint32_t)tag;
    uint64_t count;
    if (tag >> 32) {
        pthread_mutex_lock(&m->peers.lock);
        peers_handle_event(&m->peers, tag, events);
        pthread_mutex_unlock(&m->peers.lock);
    } else if (fd == m->peers.wake_fd) {
        ssize_t n = read(m->peers.wake_fd, &count, sizeof count);
        (void)n;
    } else if (!m->peers.accepting_stopped) {
        accept_some(m, fd, ACCEPTS_AT_ONCE);
    }
}

/* How long to sleep, in milliseconds rounded up; -1: until something happens. */
static int sleep_time(struct monitor *m)
{
    pthread_mutex_lock(&m->peers.lock);
    int64_t until = peers_expire(&m->peers);
    if (m->accept_again_ns < until)
        until = m->accept_again_ns;
    if (m->settings.heartbeat_ns > 0 && clock_monotonic_ns() + m->settings.heartbeat_ns < until)
        until = clock_monotonic_ns() + m->settings.heartbeat_ns;
    m->peers.sleeps_until_ns = until;
    pthread_mutex_unlock(&m->peers.lock);
    if (until == DEADLINE_NEVER)
        return -1;
    int64_t ms = (until - clock_monotonic_ns() + NS_PER_MS - 1) / NS_PER_MS;
    return ms < 0 ? 0 : ms > 3600000 ? 3600000 : (int)ms;
}

static bool follow_orders(struct monitor *m)
{
    pthread_mutex_lock(&m->peers.lock);
    bool stop = m->stop_accepting && !m->peers.accepting_stopped, quit = m->quit;
    pthread_mutex_unlock(&m->peers.lock);
    if (stop)
        stop_accepting(m);
    if (!m->peers.accepting_stopped && m->accept_again_ns <= clock_monotonic_ns()) {
        m->accept_again_ns = DEADLINE_NEVER;
        set_accepting(m, true);
    }
    return !quit;
}

static void *monitor_main(void *arg)
{
    struct monitor *m = arg;
    struct epoll_event events[EVENTS_AT_ONCE];
    while (follow_orders(m)) {
        atomic_store(&m->alive_ns, clock_monotonic_ns());
        int count = epoll_wait(m->peers.epoll_fd, events, EVENTS_AT_ONCE, sleep_time(m));
        for (int i = 0; i < count; i++)
            handle_event(m, events[i].data.u64, events[i].events);
    }
    return NULL;
}

/* --- for other threads --- */

int monitor_create(struct monitor **out, const struct monitor_settings *settings, struct error *err)
{
    struct monitor *m = calloc(1, sizeof *m);
    if (!m)
        return error_set(err, ERR_NO_MEMORY, "no memory for the connection monitor");
    m->settings = *settings;
    atomic_init(&m->max_per_ip, settings->conf->max_connections_per_ip);
    atomic_init(&m->alive_ns, clock_monotonic_ns());
    m->accept_again_ns = DEADLINE_NEVER;
    int code = peers_open(&m->peers, settings->conf, settings->server, err);
    if (code != ERR_OK) {
        monitor_destroy(m);
        return code;
    }
    set_accepting(m, true);
    *out = m;
    return ERR_OK;
}

int monitor_start(struct monitor *monitor, struct error *err)
{
    int code = thread_start(&monitor->thread, monitor->settings.name, monitor_main, monitor, err);
    monitor->started = code == ERR_OK;
    return code;
}

void monitor_set_limits(struct monitor *monitor, const struct conf *conf)
{
    atomic_store(&monitor->max_per_ip, conf->max_connections_per_ip);
    pthread_mutex_lock(&monitor->peers.lock);
    peers_set_limits(&monitor->peers, conf);
    pthread_mutex_unlock(&monitor->peers.lock);
}

bool monitor_alive(const struct monitor *monitor, int64_t ns)
{
    return clock_monotonic_ns() - atomic_load(&monitor->alive_ns) <= ns;
}

void monitor_halt(struct monitor *monitor)
{
    if (!monitor->started)
        return;
    monitor_cancel_all(monitor);
    pthread_mutex_lock(&monitor->peers.lock);
    monitor->quit = true;
    pthread_mutex_unlock(&monitor->peers.lock);
    peers_wake(&monitor->peers);
    pthread_join(monitor->thread, NULL);
}

void monitor_destroy(struct monitor *monitor)
{
    peers_close(&monitor->peers);
    free(monitor);
}

void monitor_begin_drain(struct monitor *monitor)
{
    struct peers *peers = &monitor->peers;
    atomic_store(&monitor->draining, true);
    pthread_mutex_lock(&peers->lock);
    monitor->stop_accepting = true;
    peers_wake(peers);
    while (!peers->accepting_stopped)
        pthread_cond_wait(&peers->changed, &peers->lock);
    pthread_mutex_unlock(&peers->lock);
}

bool monitor_draining(const struct monitor *monitor)
{
    return atomic_load(&monitor->draining);
}

bool monitor_wait_empty(struct monitor *monitor, int64_t deadline_ns)
{
    struct peers *peers = &monitor->peers;
    const struct timespec until = clock_timespec(deadline_ns);
    pthread_mutex_lock(&peers->lock);
    int code = 0;
    while ((peers->open > 0 || peers->linger.count > 0) && code == 0)
        code = pthread_cond_clockwait(&peers->changed, &peers->lock, CLOCK_MONOTONIC, &until);
    bool empty = peers->open == 0;
    pthread_mutex_unlock(&peers->lock);
    return empty;
}

void monitor_cancel_all(struct monitor *monitor)
{
    struct peers *peers = &monitor->peers;
    pthread_mutex_lock(&peers->lock);
    peers->cancelled = true;
    for (size_t fd = 0; fd < peers->by_fd_used; fd++) {
        struct peer *p = peers->by_fd[fd];
        if (p && p->state == WAITING)
            peers_cancel(p, ERR_DRAINING);
        else if (p && p->state == PAUSED)
            peers_resume(p);
    }
    pthread_mutex_unlock(&peers->lock);
}

struct peer *monitor_adopted(struct monitor *monitor, int fd)
{
    struct peers *peers = &monitor->peers;
    pthread_mutex_lock(&peers->lock);
    struct peer *p = peers->by_fd[fd];
    pthread_mutex_unlock(&peers->lock);
    CHECK(p);
    return p;
}
