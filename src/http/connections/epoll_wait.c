/* epoll_wait(2) in place of the C library's, for libmicrohttpd. That asks again when it got as many
 * events as it asks for, 128, and waits for more before it looks at these: for ever if none come
 * (MHD_epoll in its daemon.c, in 0.9.75 as in 1.0.1). After as many events as were asked for, a
 * thread's next call here does not wait. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
    static _Thread_local bool was_full;
    int count = epoll_pwait(fd, events, max, was_full ? 0 : timeout, NULL);
    was_full = count == max;
    return count;
}
