#include "base/descriptors.h"

#include <fcntl.h>
#include <unistd.h>

void descriptors_fill_standard(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0) {
            int got = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
            (void)got; /* the lowest free number is fd itself */
        }
}
