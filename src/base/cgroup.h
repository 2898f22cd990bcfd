/* Limits of this process's cgroups, in both versions of the kernel's interface. */
#ifndef RESNEXT_BASE_CGROUP_H
#define RESNEXT_BASE_CGROUP_H

#include <stdint.h>

/* Both functions return the smallest limit of the process's cgroup and of every visible ancestor:
 * version 2's cpu.max and memory.max, version 1's cpu.cfs_quota_us and memory.limit_in_bytes (the
 * kernel's admin-guide, cgroup-v2 and cgroup-v1). `membership` is a file like CGROUP_MEMBERSHIP,
 * `mount` a folder like CGROUP_MOUNT; unreadable files set no limit. Any thread. */
#define CGROUP_MEMBERSHIP "/proc/self/cgroup"
#define CGROUP_MOUNT      "/sys/fs/cgroup"

/* CPUs, rounded up; INT_MAX without a limit. */
int cgroup_cpus(const char *membership, const char *mount);

/* Bytes; without a limit, more than any machine has. */
uint64_t cgroup_memory(const char *membership, const char *mount);

#endif
