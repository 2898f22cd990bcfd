#include "http/connections/linger.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/connections/deadlines.h"

enum { SCRATCH_SIZE = 65536 };

static void end(struct lingerers *l, size_t at)
{
    int fd = l->list[at].fd;
    /* Not left to close(2): libmicrohttpd may not have closed its copy yet. */
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    close(fd);
    l->count--;
    memmove(&l->list[at], &l->list[at + 1], (l->count - at) * sizeof l->list[0]);
}

static size_t count_of(const struct lingerers *l, const struct in6_addr *source)
{
    size_t count = 0;
    for (size_t i = 0; i < l->count; i++)
        count += IN6_ARE_ADDR_EQUAL(&l->list[i].source, source) != 0;
    return count;
}

/* The oldest connection of the client that has the most. */
static size_t who_gives_way(const struct lingerers *l)
{
    size_t found = 0, max = 0;
    for (size_t i = 0; i < l->count; i++) {
        size_t count = count_of(l, &l->list[i].source);
        if (count > max) {
            max = count;
            found = i;
        }
    }
    return found;
}

static int64_t due_ns(const struct lingerer *one)
{
    return one->silent_ns < one->end_ns ? one->silent_ns : one->end_ns;
}

int64_t linger_add(struct lingerers *l, int fd, uint64_t tag, const struct in6_addr *source,
                   int64_t now_ns, int64_t end_ns, uint64_t bytes)
{
    if (l->count == LINGER_MAX)
        end(l, who_gives_way(l));
    l->list[l->count++] = (struct lingerer){
        .fd = fd,
        .tag = tag,
        .source = *source,
        .silent_ns = now_ns + LINGER_NS,
        .end_ns = end_ns,
        .left = bytes,
    };
    return due_ns(&l->list[l->count - 1]);
}

/* Discards some of the bytes that have come. False if the connection lingers no more. */
static bool throw_away(struct lingerer *one, int64_t now_ns)
{
    char scratch[SCRATCH_SIZE];
    ssize_t n = recv(one->fd, scratch, sizeof scratch, MSG_DONTWAIT);
    if (n < 0)
        return (errno == EAGAIN || errno == EINTR) && now_ns < due_ns(one);
    if (n == 0 || (uint64_t)n > one->left)
        return false;
    one->left -= (uint64_t)n;
    one->silent_ns = now_ns + LINGER_NS;
    return now_ns < one->end_ns;
}

void linger_handle_event(struct lingerers *l, uint64_t tag, int64_t now_ns)
{
    for (size_t i = 0; i < l->count; i++) {
        if (l->list[i].tag != tag)
            continue;
        if (!throw_away(&l->list[i], now_ns))
            end(l, i);
        return;
    }
}

int64_t linger_expire(struct lingerers *l, int64_t now_ns)
{
    int64_t next_ns = DEADLINE_NEVER;
    for (size_t i = 0; i < l->count;) {
        struct lingerer *one = &l->list[i];
        /* If this thread was delayed, bytes have come meanwhile that are not read yet: no silence.
         */
        if (due_ns(one) <= now_ns && !throw_away(one, now_ns)) {
            end(l, i);
            continue;
        }
        next_ns = due_ns(one) < next_ns ? due_ns(one) : next_ns;
        i++;
    }
    return next_ns;
}

void linger_end_by(struct lingerers *l, int64_t end_ns)
{
    for (size_t i = 0; i < l->count; i++)
        if (end_ns < l->list[i].end_ns)
            l->list[i].end_ns = end_ns;
}

void linger_close(struct lingerers *l)
{
    while (l->count > 0)
        end(l, l->count - 1);
}
