#include "base/threads.h"

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg,
                 struct error *err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(thread, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0)
        return error_set(err, ERR_THREAD, "cannot start thread %s: %s", name, strerror(rc));
    pthread_setname_np(*thread, name);
    return ERR_OK;
}

static int affinity_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    return CPU_COUNT(&set);
}

/* The CPUs, rounded up, of one cgroup's cpu.max, or INT_MAX without a limit. */
static int cgroup_cpus(const char *directory)
{
    char path[PATH_MAX + 16], quota[32];
    unsigned long period;
    snprintf(path, sizeof path, "%s/cpu.max", directory);
    FILE *f = fopen(path, "re");
    if (!f)
        return INT_MAX;
    int fields = fscanf(f, "%31s %lu", quota, &period);
    fclose(f);
    unsigned long microseconds;
    if (fields != 2 || period == 0 || sscanf(quota, "%lu", &microseconds) != 1)
        return INT_MAX;
    unsigned long cpus = microseconds / period + (microseconds % period != 0);
    return cpus < INT_MAX ? (int)cpus : INT_MAX;
}

/* The folder of the cgroup that `membership` names in the unified hierarchy, "" if it names none.
 */
static void own_cgroup(const char *membership, const char *mount, char path[PATH_MAX])
{
    char line[PATH_MAX];
    path[0] = '\0';
    FILE *f = fopen(membership, "re");
    if (!f)
        return;
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "0::/", 4) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        if (snprintf(path, PATH_MAX, "%s%s", mount, line + 3) >= PATH_MAX)
            path[0] = '\0';
    }
    fclose(f);
}

int thread_cgroup_cpus(const char *membership, const char *mount)
{
    int cpus = INT_MAX;
    char path[PATH_MAX];
    own_cgroup(membership, mount, path);
    while (strlen(path) >= strlen(mount)) {
        int limit = cgroup_cpus(path);
        if (limit < cpus)
            cpus = limit;
        *strrchr(path, '/') = '\0';
    }
    return cpus;
}

int thread_cpu_budget(void)
{
    int cpus = affinity_cpus();
    int limit = thread_cgroup_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
    if (limit < cpus)
        cpus = limit;
    return cpus < 1 ? 1 : cpus;
}
