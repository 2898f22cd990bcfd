/* For LD_PRELOAD: what sends the end of a JSON body to a Unix socket returns when the client has
 * closed it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

static bool is_unix(int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    return getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
           address.ss_family == AF_UNIX;
}

static void wait_for_hangup(int fd, const char *bytes, size_t length)
{
    struct pollfd hangup = {.fd = fd, .events = POLLRDHUP};
    if (length > 0 && bytes[length - 1] == '}' && is_unix(fd))
        poll(&hangup, 1, -1);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags)
{
    ssize_t (*real)(int, const void *, size_t, int) = dlsym(RTLD_NEXT, "send");
    ssize_t n = real(fd, bytes, length, flags);
    wait_for_hangup(fd, bytes, length);
    return n;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    ssize_t (*real)(int, const struct msghdr *, int) = dlsym(RTLD_NEXT, "sendmsg");
    ssize_t n = real(fd, message, flags);
    if (message->msg_iovlen > 0) {
        const struct iovec *last = &message->msg_iov[message->msg_iovlen - 1];
        wait_for_hangup(fd, last->iov_base, last->iov_len);
    }
    return n;
}
