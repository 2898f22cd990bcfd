/* Threads and the CPU budget. */
#ifndef RESNEXT_BASE_THREADS_H
#define RESNEXT_BASE_THREADS_H

#include <pthread.h>

#include "base/error.h"

/* Starts a named thread with every signal blocked, so that signals reach only the main thread.
 * `name` has at most 15 characters. ERR_THREAD if the system refuses, ERR_NO_MEMORY. */
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg,
                 struct error *err);

/* The number of CPUs that this process may use now: the smaller of its main thread's affinity and
 * the limit of its cgroups, at least 1. Never the host's CPU count. */
int thread_cpu_budget(void);

#endif
