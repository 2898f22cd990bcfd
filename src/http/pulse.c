#include "http/pulse.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

void pulse_start(struct pulse *pulse, struct MHD_Daemon *daemon, int threads)
{
    pulse->daemon = daemon;
    pulse->threads = threads;
    for (int i = 0; i < threads; i++) {
        atomic_store(&pulse->list[i].fd, -1);
        atomic_store(&pulse->list[i].beat_ns, clock_monotonic_ns());
    }
}

/* Moves a socket to a descriptor that leads to the thread: libmicrohttpd gives connection `fd` to
 * thread `fd` modulo their number. -1 without descriptors. */
static int steer(int fd, int thread, int threads)
{
    while (fd >= 0 && fd % threads != thread) {
        int next = fcntl(fd, F_DUPFD_CLOEXEC, fd + 1);
        close(fd);
        fd = next;
    }
    return fd;
}

static void give_connection(struct pulse *pulse, int thread)
{
    const struct sockaddr_un nobody = {.sun_family = AF_UNIX};
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
        return;
    close(pair[1]);
    int fd = steer(pair[0], thread, pulse->threads);
    if (fd < 0)
        return;
    atomic_store(&pulse->list[thread].fd, fd);
    /* A failure closes the descriptor, and may have told us of beginning and end, or not. */
    if (MHD_add_connection(pulse->daemon, fd, (const struct sockaddr *)&nobody, sizeof nobody) !=
        MHD_YES)
        atomic_store(&pulse->list[thread].fd, -1);
}

void pulse_forget(struct pulse *pulse, int fd)
{
    for (int i = 0; i < pulse->threads; i++)
        atomic_compare_exchange_strong(&pulse->list[i].fd, &(int){fd}, -1);
}

bool pulse_check(struct pulse *pulse, int64_t ns)
{
    bool alive = true;
    if (!pulse->daemon)
        return true;
    for (int i = 0; i < pulse->threads; i++) {
        alive = alive && clock_monotonic_ns() - atomic_load(&pulse->list[i].beat_ns) <= ns;
        int fd = atomic_load(&pulse->list[i].fd);
        if (fd < 0 || (fcntl(fd, F_GETFD) < 0 && errno == EBADF))
            give_connection(pulse, i);
    }
    return alive;
}

void *pulse_begun(struct pulse *pulse, int fd)
{
    for (int i = 0; pulse->daemon && i < pulse->threads; i++) {
        if (atomic_load(&pulse->list[i].fd) != fd)
            continue;
        atomic_store(&pulse->list[i].beat_ns, clock_monotonic_ns());
        return &pulse->list[i];
    }
    return NULL;
}

bool pulse_ended(struct pulse *pulse, void *context)
{
    const char *begin = (const char *)pulse->list, *at = context;
    if (at < begin || at >= begin + sizeof pulse->list)
        return false;
    struct pulse_thread *thread = context;
    atomic_store(&thread->fd, -1);
    return true;
}
