#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int file_open_regular(const char *path, struct stat *status)
{
    /* O_NONBLOCK: a FIFO without a writer must not stop us before we see that it is one. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -1;
    int reason = fstat(fd, status) == 0 ? 0 : errno;
    if (reason == 0 && S_ISREG(status->st_mode))
        return fd;
    close(fd);
    errno = reason;
    return -1;
}

ssize_t file_read(int fd, void *buffer, size_t length, off_t offset)
{
    size_t got = 0;
    while (got < length) {
        unsigned char *to = (unsigned char *)buffer + got;
        ssize_t n = offset == FILE_STREAM ? read(fd, to, length - got)
                                          : pread(fd, to, length - got, offset + (off_t)got);
        if (n == 0)
            break;
        if (n > 0)
            got += (size_t)n;
        else if (errno != EINTR)
            return -1;
    }
    return (ssize_t)got;
}
