/* For LD_PRELOAD: while the file SLOW_PRODUCTS is there, each product of OpenBLAS takes 50 ms more;
 * while STUCK_READS is there, a read at an offset above 0, as of weights, says so in it and never
 * ends; with END_AT_EPOLL set, who makes an epoll, as the HTTP side does when models are loaded,
 * has sent SIGHUP and SIGTERM before. */
#define _GNU_SOURCE
#include <cblas.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

void cblas_sgemm(CBLAS_LAYOUT layout, CBLAS_TRANSPOSE trans_a, CBLAS_TRANSPOSE trans_b, blasint m,
                 blasint n, blasint k, float alpha, const float *a, blasint lda, const float *b,
                 blasint ldb, float beta, float *c, blasint ldc)
{
    void (*real)(CBLAS_LAYOUT, CBLAS_TRANSPOSE, CBLAS_TRANSPOSE, blasint, blasint, blasint, float,
                 const float *, blasint, const float *, blasint, float, float *, blasint) =
        dlsym(RTLD_NEXT, "cblas_sgemm");
    const char *file = getenv("SLOW_PRODUCTS");
    const struct timespec pause = {.tv_nsec = 50000000};
    if (file && access(file, F_OK) == 0)
        nanosleep(&pause, NULL);
    real(layout, trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

ssize_t pread(int fd, void *bytes, size_t length, off_t offset)
{
    ssize_t (*real)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread");
    const char *file = getenv("STUCK_READS");
    int stuck = file && offset > 0 ? open(file, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
    if (stuck < 0)
        return real(fd, bytes, length, offset);
    if (write(stuck, "x", 1) == 1)
        close(stuck);
    for (;;)
        pause();
}

int epoll_create1(int flags)
{
    int (*real)(int) = dlsym(RTLD_NEXT, "epoll_create1");
    if (getenv("END_AT_EPOLL")) {
        kill(getpid(), SIGHUP);
        kill(getpid(), SIGTERM);
    }
    return real(flags);
}
