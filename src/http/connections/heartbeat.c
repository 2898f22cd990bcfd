#include "http/connections/heartbeat.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

void heartbeat_start(struct heartbeat *heartbeat, struct MHD_Daemon *daemon, int threads)
{
    heartbeat->daemon = daemon;
    heartbeat->threads = threads;
    for (int i = 0; i < threads; i++) {
        atomic_store(&heartbeat->list[i].fd, -1);
        atomic_store(&heartbeat->list[i].beat_ns, clock_monotonic_ns());
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

static void give_connection(struct heartbeat *heartbeat, int thread)
{
    const struct sockaddr_un nobody = {.sun_family = AF_UNIX};
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
        return;
    close(pair[1]);
    int fd = steer(pair[0], thread, heartbeat->threads);
    if (fd < 0)
        return;
    atomic_store(&heartbeat->list[thread].fd, fd);
    /* A failure closes the descriptor, and may have told us of beginning and end, or not. */
    if (MHD_add_connection(heartbeat->daemon, fd, (const struct sockaddr *)&nobody,
                           sizeof nobody) != MHD_YES)
        atomic_store(&heartbeat->list[thread].fd, -1);
}

void heartbeat_forget(struct heartbeat *heartbeat, int fd)
{
    for (int i = 0; i < heartbeat->threads; i++)
        atomic_compare_exchange_strong(&heartbeat->list[i].fd, &(int){fd}, -1);
}

bool heartbeat_check(struct heartbeat *heartbeat, int64_t ns)
{
    bool alive = true;
    if (!heartbeat->daemon)
        return true;
    for (int i = 0; i < heartbeat->threads; i++) {
        alive = alive && clock_monotonic_ns() - atomic_load(&heartbeat->list[i].beat_ns) <= ns;
        int fd = atomic_load(&heartbeat->list[i].fd);
        if (fd < 0 || (fcntl(fd, F_GETFD) < 0 && errno == EBADF))
            give_connection(heartbeat, i);
    }
    return alive;
}

void *heartbeat_begun(struct heartbeat *heartbeat, int fd)
{
    for (int i = 0; heartbeat->daemon && i < heartbeat->threads; i++) {
        if (atomic_load(&heartbeat->list[i].fd) != fd)
            continue;
        atomic_store(&heartbeat->list[i].beat_ns, clock_monotonic_ns());
        return &heartbeat->list[i];
    }
    return NULL;
}

bool heartbeat_ended(struct heartbeat *heartbeat, void *context)
{
    const char *begin = (const char *)heartbeat->list, *at = context;
    if (at < begin || at >= begin + sizeof heartbeat->list)
        return false;
    struct heartbeat_thread *thread = context;
    atomic_store(&thread->fd, -1);
    return true;
}
