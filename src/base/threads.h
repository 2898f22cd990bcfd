/* Threads and the CPU budget. */
#ifndef RESNEXT_BASE_THREADS_H
#define RESNEXT_BASE_THREADS_H

#include <pthread.h>

#include "base/error.h"

/* Starts a named thread with every signal blocked, so that signals reach only the main thread.
 * `name` has at most 15 characters. ERR_THREAD if the system refuses. */
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg,
                 struct error *err);

/* How many CPUs this process may use: the smallest of its affinity and of cpu.max in its cgroup and
 * every ancestor (rounded up), at least 1. Never the host's CPU count. */
int thread_cpu_budget(void);

/* The cgroups' part of that: the smallest cpu.max from the cgroup that the file `membership` (as
 * /proc/self/cgroup) names up to `mount` (as /sys/fs/cgroup); INT_MAX without a limit. */
int thread_cgroup_cpus(const char *membership, const char *mount);

#endif
