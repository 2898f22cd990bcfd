#include "base/memory.h"

#include <stdio.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/cgroup.h"

bool memory_pages(unsigned long pages[3])
{
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return false;
    int fields = fscanf(f, "%lu %lu %lu", &pages[0], &pages[1], &pages[2]);
    fclose(f);
    return fields == 3;
}

uint64_t memory_held(void)
{
    unsigned long pages[3];
    return memory_pages(pages) && pages[1] > pages[2]
               ? (pages[1] - pages[2]) * (uint64_t)sysconf(_SC_PAGESIZE)
               : 0;
}

static uint64_t machine_bytes(void)
{
    struct sysinfo info;
    return sysinfo(&info) == 0 ? (uint64_t)info.totalram * info.mem_unit : UINT64_MAX;
}

uint64_t memory_limit(void)
{
    uint64_t machine = machine_bytes(), cgroup = cgroup_memory(CGROUP_MEMBERSHIP, CGROUP_MOUNT);
    return machine < cgroup ? machine : cgroup;
}

/* What the kernel could give without swapping. A sandbox may hide its estimate (ProcSubset=pid of
 * systemd): then what others hold is not known. */
static uint64_t machine_left(uint64_t held)
{
    char line[128];
    unsigned long kib = 0;
    bool found = false;
    FILE *f = fopen("/proc/meminfo", "re");
    while (f && !found && fgets(line, sizeof line, f))
        found = sscanf(line, "MemAvailable: %lu kB", &kib) == 1;
    if (f)
        fclose(f);
    uint64_t machine = machine_bytes();
    return found ? (uint64_t)kib << 10 : machine > held ? machine - held : 0;
}

int memory_check(size_t size, struct error *err)
{
    uint64_t held = memory_held(), left = machine_left(held);
    uint64_t allowed = cgroup_memory(CGROUP_MEMBERSHIP, CGROUP_MOUNT);
    const size_t needed = (size >> 20) + 1, in_use = (size_t)(held >> 20);
    if (held > allowed || size > allowed - held)
        return error_set(err, ERR_NO_MEMORY,
                         "%zu MiB are needed beside %zu MiB in use, and the cgroup allows %zu MiB "
                         "(MemoryMax=, memory.max); take fewer workers, a smaller input_size or "
                         "model, or raise the limit",
                         needed, in_use, (size_t)(allowed >> 20));
    if (size > left)
        return error_set(err, ERR_NO_MEMORY,
                         "%zu MiB are needed beside %zu MiB in use, and the machine has %zu MiB "
                         "left; take fewer workers, a smaller input_size or model",
                         needed, in_use, (size_t)(left >> 20));
    return ERR_OK;
}
