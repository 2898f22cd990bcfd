/* The process_* family of metrics, from what the kernel says of this process. Everything is
 * readable under ProcSubset=pid. */
#include <dirent.h>
#include <math.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "serve/metrics.h"

static double cpu_seconds(void)
{
    struct timespec t;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) != 0)
        return NAN;
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double open_fds(void)
{
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return NAN;
    int count = -3; /* ".", ".." and the directory's own */
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static double max_fds(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double)limit.rlim_cur : NAN;
}

void metrics_process(double *gauges)
{
    unsigned long pages[3];
    bool known = memory_pages(pages);
    double page = (double)sysconf(_SC_PAGESIZE);
    gauges[GAUGE_cpu_seconds] = cpu_seconds();
    gauges[GAUGE_open_fds] = open_fds();
    gauges[GAUGE_max_fds] = max_fds();
    gauges[GAUGE_virtual_bytes] = known ? (double)pages[0] * page : NAN;
    gauges[GAUGE_resident_bytes] = known ? (double)pages[1] * page : NAN;
}
