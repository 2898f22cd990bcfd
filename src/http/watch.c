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
 * descriptor that was closed and given to somebody else.
 *
 * A request belongs to the exchange that waits for it. It is known to the watch exactly while its
 * peer is WAITING, that is until the HTTP thread takes the answer; the watch ends it through
 * server_cancel, which a worker may beat to it. Cancelling calls the request's `done`, which
 * resumes the connection: that takes libmicrohttpd's own mutex under ours. libmicrohttpd never
 * calls us with its mutex held, so there is no cycle.
 *
 * A client that closed its side gets an answer to what it had sent before, if it can be had at
 * once. libmicrohttpd 0.9.75 can miss the end of the stream when it comes together with data, so
 * such a connection is shut down GONE_NS after it has nothing more to do.
 *
 * Events are looked up by descriptor and generation, so that one that was fetched from the kernel
 * before its peer went away finds nothing.
 *
 * Deadlines. Each state has one constant time limit, so the peers of one state, in the order in
 * which they entered it, are ordered by deadline: a list for each limit, O(1) to enter and leave,
 * and the earliest deadline is at one of a few heads.
 *
 * A peer's states:
 *
 *   OPENING    accepted, no request yet                            the lesser of upload_timeout_ms
 *                                                                  and idle_timeout_s
 *   RECEIVING  a request line has come                             upload_timeout_ms
 *   WAITING    its request is queued or running                    request_timeout_ms
 *   REPLYING   the answer is being sent                            upload_timeout_ms
 *   IDLE       kept alive                                          idle_timeout_s
 *   CUT        shut down by the watch; libmicrohttpd will notice   none
 *   LINGERING  not libmicrohttpd's any more: answered, being drained so that closing it does not
 *              destroy the answer on its way                       LINGER_NS
 */
#include "http/watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/threads.h"
#include "http/id.h"
#include "http/router.h"

enum {
    EVENTS_AT_ONCE = 64,
    ACCEPTS_AT_ONCE = 64,
    LINGERING_MAX = 64,
    DESCRIPTORS_MAX = 1 << 20,
    SCRATCH_SIZE = 65536,
    ADDRESS_MAX = INET6_ADDRSTRLEN + 16,
};

static const int64_t LINGER_NS = 2000000000, GONE_NS = 1000000000, ACCEPT_PAUSE_NS = 100000000;
static const int64_t NEVER = INT64_MAX;

enum peer_state { OPENING, RECEIVING, WAITING, REPLYING, IDLE, CUT, LINGERING };

enum timer {
    TIMER_OPENING,
    TIMER_UPLOAD,
    TIMER_REQUEST,
    TIMER_REPLY,
    TIMER_IDLE,
    TIMER_GONE,
    TIMER_LINGER,
    TIMER_COUNT
};

struct peer {
    struct watch *watch;
    int fd;
    uint32_t generation;
    enum peer_state state;
    bool gone;   /* the client closed its side */
    bool ending; /* the server is about to */
    bool unread; /* see peer_replying */
    struct request *request;
    int64_t deadline_ns;
    struct timer_list *timer; /* NULL: none */
    struct peer *previous, *next;
    struct in6_addr ip; /* IPv4 mapped; all zero for a Unix socket */
    char address[ADDRESS_MAX];
};

struct timer_list {
    int64_t limit_ns;
    struct peer *first, *last;
};

struct watch {
    struct watch_settings settings;
    pthread_t thread;
    bool started;
    int epoll_fd, wake_fd;
    unsigned char scratch[SCRATCH_SIZE]; /* the watch's own */

    pthread_mutex_t lock;
    pthread_cond_t emptied; /* on CLOCK_MONOTONIC */
    struct timer_list timers[TIMER_COUNT];
    struct peer **by_fd;
    size_t by_fd_size, by_fd_used;
    uint32_t generation;
    size_t open, lingering;
    int64_t sleeps_until_ns;
    int64_t accept_again_ns; /* NEVER: accepting, or not any more */
    bool short_of_means;     /* the watch's own */
    bool stop_accepting, accepting_stopped, cancelled, quit;
    atomic_bool draining;
};

static void wake(struct watch *w)
{
    uint64_t one = 1;
    ssize_t written = write(w->wake_fd, &one, sizeof one);
    (void)written; /* it can only fail by being awake already */
}

/* --- timers; with the lock held --- */

static void disarm(struct peer *p)
{
    struct timer_list *list = p->timer;
    if (!list)
        return;
    *(p->previous ? &p->previous->next : &list->first) = p->next;
    *(p->next ? &p->next->previous : &list->last) = p->previous;
    p->previous = p->next = NULL;
    p->timer = NULL;
}

static void arm(struct peer *p, enum timer timer)
{
    struct watch *w = p->watch;
    struct timer_list *list = &w->timers[timer];
    disarm(p);
    p->timer = list;
    p->deadline_ns = clock_monotonic_ns() + list->limit_ns;
    p->previous = list->last;
    *(list->last ? &list->last->next : &list->first) = p;
    list->last = p;
    if (p->deadline_ns < w->sleeps_until_ns) {
        w->sleeps_until_ns = p->deadline_ns;
        wake(w);
    }
}

static bool waits_for_client(enum peer_state state)
{
    return state == OPENING || state == RECEIVING || state == IDLE;
}

static void enter(struct peer *p, enum peer_state state, enum timer timer)
{
    p->state = state;
    arm(p, p->gone && waits_for_client(state) ? TIMER_GONE : timer);
}

/* --- the table of peers; with the lock held --- */

static void watch_descriptor(struct watch *w, int fd, uint32_t generation, uint32_t events)
{
    struct epoll_event event = {.events = events,
                                .data.u64 = (uint64_t)generation << 32 | (uint32_t)fd};
    if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0 && errno != EEXIST)
        log_warning("cannot watch a connection: %s", strerror(errno));
}

static void forget(struct peer *p)
{
    struct watch *w = p->watch;
    disarm(p);
    epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, p->fd, NULL);
    w->by_fd[p->fd] = NULL;
    (*(p->state == LINGERING ? &w->lingering : &w->open))--;
    if (w->open == 0)
        pthread_cond_broadcast(&w->emptied);
    free(p);
}

static struct peer *remember(struct watch *w, int fd, enum peer_state state)
{
    if ((size_t)fd >= w->by_fd_size)
        return NULL;
    /* Whoever had this descriptor before was dropped by libmicrohttpd without a word, as it does
     * when it is out of memory. */
    if (w->by_fd[fd])
        forget(w->by_fd[fd]);
    struct peer *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    if (++w->generation == 0)
        w->generation = 1;
    *p = (struct peer){.watch = w, .fd = fd, .generation = w->generation, .state = state};
    w->by_fd[fd] = p;
    if ((size_t)fd >= w->by_fd_used)
        w->by_fd_used = (size_t)fd + 1;
    (*(state == LINGERING ? &w->lingering : &w->open))++;
    watch_descriptor(w, fd, p->generation,
                     state == LINGERING ? EPOLLIN | EPOLLRDHUP : EPOLLRDHUP | EPOLLET);
    return p;
}

/* Takes over an answered socket and closes it when the client has, or after LINGER_NS. */
static void linger(struct watch *w, int fd)
{
    struct peer *p = w->lingering < LINGERING_MAX ? remember(w, fd, LINGERING) : NULL;
    if (p)
        arm(p, TIMER_LINGER);
    else
        close(fd);
}

static void end_linger(struct peer *p)
{
    int fd = p->fd;
    forget(p);
    close(fd);
}

/* --- accepting --- */

static void describe(struct peer *p, const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        p->ip.s6_addr[10] = p->ip.s6_addr[11] = 0xff;
        memcpy(&p->ip.s6_addr[12], &in->sin_addr, 4);
        inet_ntop(AF_INET, &in->sin_addr, p->address, sizeof p->address);
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
        p->ip = in6->sin6_addr;
        inet_ntop(AF_INET6, &in6->sin6_addr, p->address, sizeof p->address);
    } else {
        memcpy(p->address, "unix", sizeof "unix");
    }
}

/* How many connections stay, all of them or (not NULL) those of one address. Those whose client has
 * left or been told to do not count: they are gone in a moment. */
static size_t count_staying(const struct watch *w, const struct in6_addr *ip)
{
    size_t count = 0;
    for (size_t fd = 0; fd < w->by_fd_used; fd++) {
        const struct peer *p = w->by_fd[fd];
        bool stays = p && p->state != LINGERING && !p->gone && !p->ending;
        count += stays && (!ip || IN6_ARE_ADDR_EQUAL(&p->ip, ip));
    }
    return count;
}

/* The option that a newcomer, counted already, goes against; NULL: none. */
static const char *limit_reached(const struct watch *w, const struct peer *newcomer)
{
    size_t all = (size_t)w->settings.conf->max_connections;
    size_t of_ip = (size_t)w->settings.conf->max_connections_per_ip;
    /* One that half-closes and never reads its answers takes its time: there is an end to that. */
    if (w->open > 2 * all || (w->open > all && count_staying(w, NULL) > all))
        return "max_connections";
    if (of_ip > 0 && !IN6_IS_ADDR_UNSPECIFIED(&newcomer->ip) &&
        count_staying(w, &newcomer->ip) > of_ip)
        return "max_connections_per_ip";
    return NULL;
}

/* Answers without reading, and lingers so that the client can read the answer. */
static void turn_away(struct watch *w, int fd, const char *option)
{
    char id[ID_SIZE], body[512], text[1024];
    id_generate(id);
    int n = snprintf(body, sizeof body,
                     "{\"error\":{\"code\":\"overloaded\",\"message\":\"too many connections are "
                     "open already (%s); try again later\",\"status\":503},\"request_id\":\"%s\"}",
                     option, id);
    n = snprintf(text, sizeof text,
                 "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
                 "Content-Type: application/json\r\nContent-Length: %d\r\nRetry-After: 1\r\n"
                 "X-Request-Id: %s\r\n\r\n%s",
                 n, id, body);
    ssize_t sent = send(fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent; /* a fresh socket takes it whole, or the client is gone already */
    shutdown(fd, SHUT_WR);
    metrics_add(server_metrics(w->settings.server), COUNTER_rejected, REASON_CONNECTIONS, 0, 0, 1);
    linger(w, fd);
}

/* A new connection, counted and limited. True if it is to be handed on. */
static bool admit(struct watch *w, int fd, const struct sockaddr *address)
{
    struct peer *p = remember(w, fd, OPENING);
    if (!p) {
        close(fd);
        return false;
    }
    describe(p, address);
    const char *limit = limit_reached(w, p);
    if (!limit) {
        arm(p, TIMER_OPENING);
        return true;
    }
    forget(p);
    turn_away(w, fd, limit);
    return false;
}

static void accept_one(struct watch *w, int fd, const struct sockaddr *address, socklen_t length)
{
    pthread_mutex_lock(&w->lock);
    bool admitted = admit(w, fd, address);
    uint32_t generation = w->generation;
    pthread_mutex_unlock(&w->lock);
    if (!admitted || w->settings.adopt(w->settings.arg, fd, address, length))
        return;
    pthread_mutex_lock(&w->lock);
    if (w->by_fd[fd] && w->by_fd[fd]->generation == generation)
        forget(w->by_fd[fd]);
    pthread_mutex_unlock(&w->lock);
}

static void set_accepting(struct watch *w, bool on)
{
    for (size_t i = 0; i < w->settings.listen_fd_count; i++) {
        int fd = w->settings.listen_fds[i];
        if (on)
            watch_descriptor(w, fd, 0, EPOLLIN);
        else
            epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
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

static void accept_some(struct watch *w, int listen_fd, int most)
{
    for (int i = 0; i < most; i++) {
        struct sockaddr_storage address = {0};
        socklen_t length = sizeof address;
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

/* --- events; with the lock held --- */

static void count_rejected(struct watch *w, enum metric_reason reason)
{
    metrics_add(server_metrics(w->settings.server), COUNTER_rejected, reason, 0, 0, 1);
}

static void cut(struct peer *p)
{
    disarm(p);
    p->state = CUT;
    shutdown(p->fd, SHUT_RDWR);
}

static void cancel(struct peer *p, int outcome)
{
    /* The peer stays WAITING, without a timer, until the HTTP thread takes the answer. */
    disarm(p);
    server_cancel(p->watch->settings.server, p->request, outcome);
}

static void client_left(struct peer *p)
{
    p->gone = true;
    if (p->state == WAITING)
        cancel(p, ERR_CLIENT_GONE);
    else if (waits_for_client(p->state))
        arm(p, TIMER_GONE);
}

static void time_is_up(struct peer *p)
{
    struct watch *w = p->watch;
    switch (p->state) {
    case WAITING:
        cancel(p, ERR_DEADLINE);
        break;
    case LINGERING:
        end_linger(p);
        break;
    case RECEIVING:
        if (!p->gone)
            count_rejected(w, REASON_UPLOAD_TIMEOUT);
        cut(p);
        break;
    case REPLYING:
        count_rejected(w, REASON_SLOW_READER);
        cut(p);
        break;
    case OPENING:
    case IDLE:
    case CUT:
        cut(p);
        break;
    }
}

static void drain_lingering(struct watch *w, struct peer *p)
{
    ssize_t n = recv(p->fd, w->scratch, sizeof w->scratch, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        end_linger(p);
}

/* A connection without a request gets to the end of what it has sent already, and no further. */
static void end_idle_peers(struct watch *w)
{
    for (size_t fd = 0; fd < w->by_fd_used; fd++) {
        struct peer *p = w->by_fd[fd];
        if (p && (p->state == OPENING || p->state == IDLE))
            shutdown(p->fd, SHUT_RD);
    }
}

static int64_t expire_timers(struct watch *w)
{
    int64_t now = clock_monotonic_ns(), next = w->accept_again_ns;
    for (int i = 0; i < TIMER_COUNT; i++) {
        struct timer_list *list = &w->timers[i];
        while (list->first && list->first->deadline_ns <= now)
            time_is_up(list->first);
        if (list->first && list->first->deadline_ns < next)
            next = list->first->deadline_ns;
    }
    return next;
}

static void handle_peer_event(struct watch *w, const struct epoll_event *event)
{
    size_t fd = (uint32_t)event->data.u64;
    struct peer *p = w->by_fd[fd];
    if (!p || p->generation != event->data.u64 >> 32)
        return;
    if (p->state == LINGERING)
        drain_lingering(w, p);
    else if (event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        client_left(p);
}

/* --- the thread --- */

static void handle_event(struct watch *w, const struct epoll_event *event)
{
    int fd = (int)(uint32_t)event->data.u64;
    uint64_t count;
    if (event->data.u64 >> 32) {
        pthread_mutex_lock(&w->lock);
        handle_peer_event(w, event);
        pthread_mutex_unlock(&w->lock);
    } else if (fd == w->wake_fd) {
        ssize_t n = read(w->wake_fd, &count, sizeof count);
        (void)n;
    } else if (!w->accepting_stopped) {
        accept_some(w, fd, ACCEPTS_AT_ONCE);
    }
}

static void stop_accepting(struct watch *w)
{
    /* Who stands in the backlog has been accepted by the kernel: answer, do not reset. */
    for (size_t i = 0; i < w->settings.listen_fd_count; i++)
        accept_some(w, w->settings.listen_fds[i], SOMAXCONN);
    set_accepting(w, false);
    w->accept_again_ns = NEVER;
    pthread_mutex_lock(&w->lock);
    w->accepting_stopped = true;
    end_idle_peers(w);
    pthread_cond_broadcast(&w->emptied);
    pthread_mutex_unlock(&w->lock);
}

/* How long to sleep, in milliseconds rounded up; -1: until something happens. */
static int sleep_time(struct watch *w)
{
    pthread_mutex_lock(&w->lock);
    int64_t until = expire_timers(w);
    w->sleeps_until_ns = until;
    pthread_mutex_unlock(&w->lock);
    if (until == NEVER)
        return -1;
    int64_t ms = (until - clock_monotonic_ns() + 999999) / 1000000;
    return ms < 0 ? 0 : ms > 3600000 ? 3600000 : (int)ms;
}

static bool obey(struct watch *w)
{
    pthread_mutex_lock(&w->lock);
    bool stop = w->stop_accepting && !w->accepting_stopped, quit = w->quit;
    pthread_mutex_unlock(&w->lock);
    if (stop)
        stop_accepting(w);
    if (!w->accepting_stopped && w->accept_again_ns <= clock_monotonic_ns()) {
        w->accept_again_ns = NEVER;
        set_accepting(w, true);
    }
    return !quit;
}

static void *watch_main(void *arg)
{
    struct watch *w = arg;
    struct epoll_event events[EVENTS_AT_ONCE];
    while (obey(w)) {
        int count = epoll_wait(w->epoll_fd, events, EVENTS_AT_ONCE, sleep_time(w));
        for (int i = 0; i < count; i++)
            handle_event(w, &events[i]);
    }
    return NULL;
}

/* --- for other threads --- */

static void set_limits(struct watch *w)
{
    const struct conf *conf = w->settings.conf;
    int64_t upload = conf->upload_timeout_ms * 1000000, idle = conf->idle_timeout_s * 1000000000;
    w->timers[TIMER_OPENING].limit_ns = upload < idle ? upload : idle;
    w->timers[TIMER_UPLOAD].limit_ns = w->timers[TIMER_REPLY].limit_ns = upload;
    w->timers[TIMER_REQUEST].limit_ns = conf->request_timeout_ms * 1000000;
    w->timers[TIMER_IDLE].limit_ns = idle;
    w->timers[TIMER_GONE].limit_ns = GONE_NS;
    w->timers[TIMER_LINGER].limit_ns = LINGER_NS;
}

static int open_descriptors(struct watch *w, struct error *err)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0)
        return error_set(err, ERR_IO, "getrlimit: %s", strerror(errno));
    w->by_fd_size = files.rlim_cur < DESCRIPTORS_MAX ? files.rlim_cur : DESCRIPTORS_MAX;
    w->by_fd = calloc(w->by_fd_size, sizeof(struct peer *));
    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!w->by_fd)
        return error_set(err, ERR_NO_MEMORY, "no memory for %zu connections", w->by_fd_size);
    if (w->epoll_fd < 0 || w->wake_fd < 0)
        return error_set(err, ERR_IO, "cannot watch connections: %s", strerror(errno));
    watch_descriptor(w, w->wake_fd, 0, EPOLLIN);
    set_accepting(w, true);
    return ERR_OK;
}

int watch_create(struct watch **out, const struct watch_settings *settings, struct error *err)
{
    struct watch *w = calloc(1, sizeof *w);
    if (!w)
        return error_set(err, ERR_NO_MEMORY, "no memory for the watch");
    w->settings = *settings;
    w->epoll_fd = w->wake_fd = -1;
    w->sleeps_until_ns = w->accept_again_ns = NEVER;
    set_limits(w);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->emptied, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int code = open_descriptors(w, err);
    if (code != ERR_OK) {
        watch_destroy(w);
        return code;
    }
    *out = w;
    return ERR_OK;
}

int watch_start(struct watch *watch, struct error *err)
{
    int code = thread_start(&watch->thread, "watch", watch_main, watch, err);
    watch->started = code == ERR_OK;
    return code;
}

void watch_halt(struct watch *watch)
{
    if (!watch->started)
        return;
    watch_cancel_all(watch);
    pthread_mutex_lock(&watch->lock);
    watch->quit = true;
    pthread_mutex_unlock(&watch->lock);
    wake(watch);
    pthread_join(watch->thread, NULL);
}

void watch_destroy(struct watch *watch)
{
    for (size_t fd = 0; fd < watch->by_fd_used; fd++) {
        struct peer *p = watch->by_fd[fd];
        if (p && p->state == LINGERING)
            end_linger(p);
        else if (p)
            forget(p);
    }
    if (watch->epoll_fd >= 0)
        close(watch->epoll_fd);
    if (watch->wake_fd >= 0)
        close(watch->wake_fd);
    pthread_cond_destroy(&watch->emptied);
    pthread_mutex_destroy(&watch->lock);
    free(watch->by_fd);
    free(watch);
}

void watch_begin_drain(struct watch *watch)
{
    atomic_store(&watch->draining, true);
    pthread_mutex_lock(&watch->lock);
    watch->stop_accepting = true;
    pthread_mutex_unlock(&watch->lock);
    wake(watch);
}

bool watch_draining(const struct watch *watch)
{
    return atomic_load(&watch->draining);
}

bool watch_wait_empty(struct watch *watch, int64_t deadline_ns)
{
    struct timespec at = {.tv_sec = deadline_ns / 1000000000, .tv_nsec = deadline_ns % 1000000000};
    pthread_mutex_lock(&watch->lock);
    int rc = 0;
    while ((watch->open > 0 || !watch->accepting_stopped) && rc == 0)
        rc = pthread_cond_timedwait(&watch->emptied, &watch->lock, &at);
    bool empty = watch->open == 0;
    pthread_mutex_unlock(&watch->lock);
    return empty;
}

void watch_cancel_all(struct watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    watch->cancelled = true;
    for (size_t fd = 0; fd < watch->by_fd_used; fd++) {
        struct peer *p = watch->by_fd[fd];
        if (p && p->state == WAITING)
            cancel(p, ERR_DRAINING);
    }
    pthread_mutex_unlock(&watch->lock);
}

struct peer *watch_adopted(struct watch *watch, int fd)
{
    pthread_mutex_lock(&watch->lock);
    struct peer *p = watch->by_fd[fd];
    pthread_mutex_unlock(&watch->lock);
    CHECK(p);
    return p;
}

const char *peer_address(const struct peer *peer)
{
    return peer->address;
}

/* A peer that was cut stays so, whatever its HTTP thread is still doing. */
static void enter_unless_cut(struct peer *p, enum peer_state state, enum timer timer)
{
    pthread_mutex_lock(&p->watch->lock);
    p->request = NULL;
    if (p->state != CUT)
        enter(p, state, timer);
    pthread_mutex_unlock(&p->watch->lock);
}

void peer_receiving(struct peer *peer)
{
    enter_unless_cut(peer, RECEIVING, TIMER_UPLOAD);
}

int peer_waiting(struct peer *peer, struct request *request)
{
    struct watch *w = peer->watch;
    pthread_mutex_lock(&w->lock);
    int code = w->cancelled                       ? ERR_DRAINING
               : peer->gone || peer->state == CUT ? ERR_CLIENT_GONE
                                                  : ERR_OK;
    if (code == ERR_OK) {
        enter(peer, WAITING, TIMER_REQUEST);
        peer->request = request;
        request->deadline_ns = peer->deadline_ns;
    }
    pthread_mutex_unlock(&w->lock);
    return code;
}

void peer_replying(struct peer *peer, bool unread)
{
    peer->unread = unread;
    enter_unless_cut(peer, REPLYING, TIMER_REPLY);
}

void peer_idle(struct peer *peer, bool ending)
{
    pthread_mutex_lock(&peer->watch->lock);
    peer->ending = ending;
    pthread_mutex_unlock(&peer->watch->lock);
    enter_unless_cut(peer, IDLE, TIMER_IDLE);
}

bool peer_timed_out(struct peer *peer)
{
    pthread_mutex_lock(&peer->watch->lock);
    bool timed_out = peer->state == CUT && !peer->gone;
    pthread_mutex_unlock(&peer->watch->lock);
    return timed_out;
}

/* A request was sent and lost: the client reset the connection before libmicrohttpd could read. */
static bool lost_a_request(const struct peer *p)
{
    struct tcp_info info;
    socklen_t length = sizeof info;
    return p->state == OPENING && getsockopt(p->fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 &&
           length == sizeof info && info.tcpi_bytes_received > 1;
}

void peer_closed(struct peer *peer)
{
    struct watch *w = peer->watch;
    pthread_mutex_lock(&w->lock);
    int copy = -1;
    if (lost_a_request(peer)) {
        struct metrics *metrics = server_metrics(w->settings.server);
        metrics_add(metrics, COUNTER_requests, router_endpoint(NULL), metrics_no_model(metrics),
                    metrics_code(metrics, error_status(ERR_CLIENT_GONE)), 1);
    }
    if (peer->unread && !peer->gone && peer->state != CUT && w->lingering < LINGERING_MAX)
        copy = fcntl(peer->fd, F_DUPFD_CLOEXEC, 0);
    forget(peer);
    if (copy >= 0)
        linger(w, copy);
    pthread_mutex_unlock(&w->lock);
}
