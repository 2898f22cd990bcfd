#include "http/connections/peers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum { DESCRIPTORS_MAX = 1 << 20 };

static const int64_t GONE_NS = 1000000000, FIRST_NS = 500000000;

/* A client that sends everything before it reads is to get its answer, even if it sends several
 * times what we accept. The second number is a large picture under any limit. */
static const uint64_t LINGER_BODIES = 4, LINGER_MIN = 64 << 20;

void peers_wake(struct peers *all)
{
    uint64_t one = 1;
    ssize_t written = write(all->wake_fd, &one, sizeof one);
    (void)written; /* it can only fail by being awake already */
}

static void disarm(struct peer *p)
{
    deadlines_unset(&p->peers->deadlines, &p->deadline);
}

static void wake_by(struct peers *all, int64_t at_ns)
{
    if (at_ns < all->sleeps_until_ns) {
        all->sleeps_until_ns = at_ns;
        peers_wake(all);
    }
}

static void arm_after(struct peer *p, int64_t ns)
{
    int64_t at_ns = clock_monotonic_ns() + ns;
    deadlines_set(&p->peers->deadlines, &p->deadline, at_ns);
    wake_by(p->peers, at_ns);
}

void peers_arm(struct peer *p, enum peer_timer timer)
{
    arm_after(p, p->peers->limits_ns[timer]);
}

static bool waits_for_client(enum peer_state state)
{
    return state == OPENING || state == RECEIVING || state == IDLE;
}

static void set_state(struct peer *p, enum peer_state state)
{
    struct peers *all = p->peers;
    if (p->queued)
        TAILQ_REMOVE(&all->idle, p, place);
    bool is_first = state == PAUSED && p->gone;
    p->queued = is_first || state == OPENING || state == IDLE;
    if (is_first)
        TAILQ_INSERT_HEAD(&all->idle, p, place);
    else if (p->queued)
        TAILQ_INSERT_TAIL(&all->idle, p, place);
    p->state = state;
}

static void enter(struct peer *p, enum peer_state state, enum peer_timer timer)
{
    set_state(p, state);
    peers_arm(p, p->gone && waits_for_client(state) ? TIMER_GONE : timer);
}

static uint32_t next_serial(struct peers *all)
{
    if (++all->serial == 0)
        all->serial = 1;
    return all->serial;
}

static uint64_t event_tag(int fd, uint32_t serial)
{
    return (uint64_t)serial << 32 | (uint32_t)fd;
}

void peers_add_descriptor(struct peers *all, int fd, uint32_t serial, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = event_tag(fd, serial)};
    if (epoll_ctl(all->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0 && errno != EEXIST)
        log_warning("cannot monitor a connection: %s", strerror(errno));
}

static void tell_if_empty(struct peers *all)
{
    if (all->open == 0 && all->linger.count == 0)
        pthread_cond_broadcast(&all->changed);
}

void peers_remove(struct peer *p)
{
    struct peers *all = p->peers;
    disarm(p);
    if (p->queued)
        TAILQ_REMOVE(&all->idle, p, place);
    all->given -= p->given;
    epoll_ctl(all->epoll_fd, EPOLL_CTL_DEL, p->fd, NULL);
    all->by_fd[p->fd] = NULL;
    all->open--;
    tell_if_empty(all);
    free(p);
}

struct peer *peers_add(struct peers *all, int fd)
{
    if ((size_t)fd >= all->by_fd_size)
        return NULL;
    /* Whoever had this descriptor before was dropped by libmicrohttpd without a word, as it does
     * when it is out of memory. */
    if (all->by_fd[fd])
        peers_remove(all->by_fd[fd]);
    struct peer *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    *p = (struct peer){.peers = all, .fd = fd, .serial = next_serial(all)};
    p->deadline.owner = p;
    all->by_fd[fd] = p;
    if ((size_t)fd >= all->by_fd_used)
        all->by_fd_used = (size_t)fd + 1;
    all->open++;
    set_state(p, OPENING);
    peers_add_descriptor(all, fd, p->serial, EPOLLRDHUP | EPOLLET);
    return p;
}

void peers_linger(struct peers *all, int fd, const struct in6_addr *source)
{
    if ((size_t)fd >= all->by_fd_size) { /* events would be looked up beyond it */
        close(fd);
        return;
    }
    uint32_t serial = next_serial(all);
    int64_t now = clock_monotonic_ns(), max = all->limits_ns[TIMER_UPLOAD];
    max = all->accepting_stopped && max > LINGER_NS ? LINGER_NS : max;
    peers_add_descriptor(all, fd, serial, EPOLLIN | EPOLLRDHUP);
    wake_by(all, linger_add(&all->linger, fd, event_tag(fd, serial), source, now, now + max,
                            all->linger_bytes));
}

/* shutdown(2), of a connection that libmicrohttpd still has: it tells us before it closes one,
 * unless it was out of memory when it took it over. Such a peer is removed: false. */
static bool shut(struct peer *p, int how)
{
    if (shutdown(p->fd, how) == 0 || (errno != EBADF && errno != ENOTSOCK))
        return true;
    peers_remove(p);
    return false;
}

static void cut(struct peer *p)
{
    disarm(p);
    if (shut(p, SHUT_RDWR))
        set_state(p, CUT);
}

/* `queue`: FIONREAD, from its client, or TIOCOUTQ, to it. */
static bool is_empty(const struct peer *p, unsigned long queue)
{
    int bytes;
    return ioctl(p->fd, queue, &bytes) == 0 && bytes == 0;
}

bool peers_is_leaving(const struct peer *p)
{
    if (p->ending || p->state == CUT)
        return true;
    return p->gone && p->state != PAUSED &&
           is_empty(p, waits_for_client(p->state) ? FIONREAD : TIOCOUTQ);
}

void peers_cancel(struct peer *p, int outcome)
{
    /* The peer stays WAITING, without a timer, until the HTTP thread takes the answer. */
    disarm(p);
    if (p->request)
        server_cancel(p->peers->server, p->request, outcome);
    else
        completion_finish(p->completion, outcome);
}

void peers_resume(struct peer *p)
{
    enter(p, RECEIVING, TIMER_UPLOAD);
    p->resume(p->resume_arg);
}

bool peers_give_way(struct peers *all, const struct peer *newcomer)
{
    struct peer *p;
    TAILQ_FOREACH(p, &all->idle, place)
    {
        if (p == newcomer || (p->state != PAUSED && !is_empty(p, FIONREAD)))
            continue;
        p->given = true;
        all->given++;
        if (p->state == PAUSED)
            peers_resume(p);
        cut(p);
        return true;
    }
    return false;
}

static void client_left(struct peer *p)
{
    if (p->state == CUT) /* that was us */
        return;
    p->gone = true;
    if (p->state == WAITING)
        peers_cancel(p, ERR_CLIENT_GONE);
    else if (p->state == PAUSED)
        set_state(p, PAUSED);
    else if (waits_for_client(p->state))
        peers_arm(p, TIMER_GONE);
}

static void time_is_up(struct peer *p)
{
    struct metrics *metrics = server_metrics(p->peers->server);
    switch (p->state) {
    case PAUSED:
        peers_resume(p);
        break;
    case WAITING:
        peers_cancel(p, ERR_DEADLINE);
        break;
    case RECEIVING:
        if (!p->gone && !p->refused)
            metrics_reject(metrics, ERR_UPLOAD_TIMEOUT);
        cut(p);
        break;
    case REPLYING:
        metrics_add(metrics, COUNTER_rejected, REASON_SLOW_READER, 0, 0, 1);
        cut(p);
        break;
    case OPENING:
    case IDLE:
    case CUT:
        cut(p);
        break;
    }
}

static void end_within(struct peer *p, int64_t ns)
{
    if (p->deadline.at_ns > clock_monotonic_ns() + ns)
        arm_after(p, ns);
}

/* Whether something has come that libmicrohttpd has not read yet. */
static bool has_sent(const struct peer *p)
{
    char byte;
    return recv(p->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

void peers_hurry(struct peer *p)
{
    if (p->state == PAUSED)
        peers_resume(p);
    if (p->state == RECEIVING && p->refused)
        end_within(p, LINGER_NS);
    /* libmicrohttpd closes a connection that was answered in mid-upload. That lingers then, and
     * must still be read from. */
    if (p->unread)
        return;
    if (p->state == OPENING || (p->state == IDLE && has_sent(p)))
        end_within(p, FIRST_NS);
    else if (p->state == IDLE)
        shut(p, SHUT_RD);
}

int64_t peers_expire(struct peers *all)
{
    int64_t now = clock_monotonic_ns();
    struct deadline *first;
    while ((first = deadlines_first(&all->deadlines)) && first->at_ns <= now)
        time_is_up(first->owner);
    int64_t next = first ? first->at_ns : DEADLINE_NEVER, linger = linger_expire(&all->linger, now);
    tell_if_empty(all);
    return next < linger ? next : linger;
}

void peers_handle_event(struct peers *all, uint64_t tag, uint32_t events)
{
    struct peer *p = all->by_fd[(uint32_t)tag];
    if (!p || p->serial != tag >> 32) {
        linger_handle_event(&all->linger, tag, clock_monotonic_ns());
        tell_if_empty(all);
    } else if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        client_left(p);
    }
}

void peers_set_limits(struct peers *all, const struct conf *conf)
{
    int64_t upload = conf->upload_timeout_ms * NS_PER_MS, idle = conf->idle_timeout_s * NS_PER_S;
    all->limits_ns[TIMER_OPENING] = upload < idle ? upload : idle;
    all->limits_ns[TIMER_UPLOAD] = all->limits_ns[TIMER_REPLY] = upload;
    all->limits_ns[TIMER_IDLE] = idle;
    all->limits_ns[TIMER_GONE] = GONE_NS;
    all->linger_bytes = LINGER_BODIES * (uint64_t)conf->max_body_bytes + LINGER_MIN;
}

int peers_open(struct peers *all, const struct conf *conf, struct server *server, struct error *err)
{
    struct rlimit files = {.rlim_cur = DESCRIPTORS_MAX};
    *all = (struct peers){.server = server, .sleeps_until_ns = DEADLINE_NEVER};
    TAILQ_INIT(&all->idle);
    peers_set_limits(all, conf);
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->changed, NULL);
    getrlimit(RLIMIT_NOFILE, &files);
    all->by_fd_size = files.rlim_cur < DESCRIPTORS_MAX ? files.rlim_cur : DESCRIPTORS_MAX;
    all->by_fd = calloc(all->by_fd_size, sizeof(struct peer *));
    all->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    all->linger.epoll_fd = all->epoll_fd;
    all->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!all->by_fd)
        return error_set(err, ERR_NO_MEMORY, "no memory for %zu connections", all->by_fd_size);
    int code = deadlines_open(&all->deadlines, all->by_fd_size, err);
    if (code != ERR_OK)
        return code;
    if (all->epoll_fd < 0 || all->wake_fd < 0)
        return error_set(err, ERR_IO, "cannot monitor connections: %s", strerror(errno));
    peers_add_descriptor(all, all->wake_fd, 0, EPOLLIN);
    return ERR_OK;
}

void peers_close(struct peers *all)
{
    for (size_t fd = 0; fd < all->by_fd_used; fd++)
        if (all->by_fd[fd])
            peers_remove(all->by_fd[fd]);
    linger_close(&all->linger);
    if (all->epoll_fd >= 0)
        close(all->epoll_fd);
    if (all->wake_fd >= 0)
        close(all->wake_fd);
    pthread_cond_destroy(&all->changed);
    pthread_mutex_destroy(&all->lock);
    deadlines_close(&all->deadlines);
    free(all->by_fd);
}

/* --- for HTTP threads; these take the lock --- */

const char *peer_address(const struct peer *peer)
{
    return peer->client.text;
}

/* A peer that was cut stays so, whatever its HTTP thread is still doing. */
static void enter_unless_cut(struct peer *p, enum peer_state state, enum peer_timer timer)
{
    p->completion = NULL;
    p->request = NULL;
    if (p->state != CUT)
        enter(p, state, timer);
}

void peer_receiving(struct peer *peer)
{
    pthread_mutex_lock(&peer->peers->lock);
    peer->refused = false;
    enter_unless_cut(peer, RECEIVING, TIMER_UPLOAD);
    pthread_mutex_unlock(&peer->peers->lock);
}

void peer_refused(struct peer *peer)
{
    struct peers *all = peer->peers;
    pthread_mutex_lock(&all->lock);
    peer->refused = true;
    if (all->accepting_stopped)
        peers_hurry(peer);
    pthread_mutex_unlock(&all->lock);
}

int peer_waiting(struct peer *peer, struct completion *completion, struct request *request,
                 int64_t timeout_ns)
{
    struct peers *all = peer->peers;
    pthread_mutex_lock(&all->lock);
    int code = all->cancelled                     ? ERR_DRAINING
               : peer->gone || peer->state == CUT ? ERR_CLIENT_GONE
                                                  : ERR_OK;
    if (code == ERR_OK) {
        set_state(peer, WAITING);
        peer->completion = completion;
        peer->request = request;
        arm_after(peer, timeout_ns);
        completion->deadline_ns = peer->deadline.at_ns;
    }
    pthread_mutex_unlock(&all->lock);
    return code;
}

void peer_replying(struct peer *peer, bool unread)
{
    pthread_mutex_lock(&peer->peers->lock);
    peer->unread = unread;
    enter_unless_cut(peer, REPLYING, TIMER_REPLY);
    pthread_mutex_unlock(&peer->peers->lock);
}

void peer_idle(struct peer *peer, bool ending, int status)
{
    struct peers *all = peer->peers;
    pthread_mutex_lock(&all->lock);
    enter_unless_cut(peer, IDLE, TIMER_IDLE);
    peer->ending = ending;
    peer->status = status;
    peer->answered_ns = clock_monotonic_ns();
    if (all->accepting_stopped)
        peers_hurry(peer);
    pthread_mutex_unlock(&all->lock);
}

int peer_last_status(struct peer *peer, int64_t ns)
{
    pthread_mutex_lock(&peer->peers->lock);
    int64_t since_ns = peer->answered_ns;
    int status = peer->status;
    pthread_mutex_unlock(&peer->peers->lock);
    return since_ns > 0 && clock_monotonic_ns() - since_ns < ns ? status : 0;
}

bool peer_pause(struct peer *peer, int64_t ns, void (*resume)(void *), void *arg)
{
    struct peers *all = peer->peers;
    pthread_mutex_lock(&all->lock);
    bool pauses = !all->accepting_stopped && !all->cancelled && peer->state == RECEIVING;
    if (pauses) {
        set_state(peer, PAUSED);
        peer->resume = resume;
        peer->resume_arg = arg;
        arm_after(peer, ns);
    }
    pthread_mutex_unlock(&all->lock);
    return pauses;
}

bool peer_timed_out(struct peer *peer)
{
    pthread_mutex_lock(&peer->peers->lock);
    bool timed_out = peer->state == CUT && !peer->gone;
    pthread_mutex_unlock(&peer->peers->lock);
    return timed_out;
}

void peer_closed(struct peer *peer)
{
    struct peers *all = peer->peers;
    pthread_mutex_lock(&all->lock);
    if (peer->unread && !peer->gone && peer->state != CUT) {
        int copy = fcntl(peer->fd, F_DUPFD_CLOEXEC, 0);
        if (copy >= 0)
            peers_linger(all, copy, &peer->client.source);
    }
    peers_remove(peer);
    pthread_mutex_unlock(&all->lock);
}
