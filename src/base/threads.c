#include "base/threads.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cgroup.h"

struct start {
    char name[16];
    void *(*run)(void *);
    void *arg;
};

/* A thread names itself: named by its parent it would run for a while under the parent's name. */
static void *start_main(void *arg)
{
    struct start start = *(struct start *)arg;
    free(arg);
    pthread_setname_np(pthread_self(), start.name);
    return start.run(start.arg);
}

int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg,
                 struct error *err)
{
    struct start *start = malloc(sizeof *start);
    if (!start)
        return error_set(err, ERR_NO_MEMORY, "no memory to start thread %s", name);
    *start = (struct start){.run = run, .arg = arg};
    snprintf(start->name, sizeof start->name, "%s", name);
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int code = pthread_create(thread, NULL, start_main, start);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (code == 0)
        return ERR_OK;
    free(start);
    return error_set(err, ERR_THREAD, "cannot start thread %s: %s", name, strerror(code));
}

static int affinity_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(getpid(), sizeof set, &set) != 0) /* the main thread's */
        return 1;
    return CPU_COUNT(&set);
}

int thread_cpu_budget(void)
{
    int cpus = affinity_cpus();
    int limit = cgroup_cpus(CGROUP_MEMBERSHIP, CGROUP_MOUNT);
    if (limit < cpus)
        cpus = limit;
    return cpus < 1 ? 1 : cpus;
}
