#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/check.h"
#include "base/size.h"

enum { HUGE_PAGE = 2 << 20 };

/* What this process holds that cannot be read again from a file; 0 if that is not known. */
static uint64_t anonymous_bytes(void)
{
    unsigned long resident = 0, shared = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return 0;
    int fields = fscanf(f, "%*u %lu %lu", &resident, &shared);
    fclose(f);
    return fields == 2 && resident > shared
               ? (resident - shared) * (unsigned long)sysconf(_SC_PAGESIZE)
               : 0;
}

/* All of an arena is touched: beyond the cgroup's limit that would be the process's end. */
static int check_limit(size_t size, struct error *err)
{
    uint64_t limit = cgroup_memory(CGROUP_MEMBERSHIP, CGROUP_MOUNT), held = anonymous_bytes();
    if (size <= limit && held <= limit - size)
        return ERR_OK;
    return error_set(
        err, ERR_NO_MEMORY,
        "%zu MiB are needed beside %zu MiB in use, and the cgroup allows %zu MiB; raise "
        "its limit (MemoryMax=, memory.max) or take a smaller model or fewer workers",
        (size >> 20) + 1, (size_t)(held >> 20), (size_t)(limit >> 20));
}

int arena_create(struct arena *arena, size_t size, struct error *err)
{
    *arena = (struct arena){0};
    if (size == 0)
        return ERR_OK;
    int code = check_limit(size, err);
    if (code != ERR_OK)
        return code;
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return error_set(err, ERR_NO_MEMORY, "no memory for %zu bytes", size);
    if (size >= HUGE_PAGE)
        madvise(p, size, MADV_HUGEPAGE);
    memset(p, 0, size);
    *arena = (struct arena){.base = p, .size = size};
    return ERR_OK;
}

void *arena_take(struct arena *arena, size_t size)
{
    size_t rounded = arena_rounded(size);
    CHECK(rounded >= size && rounded <= arena->size - arena->used);
    void *p = arena->base + arena->used;
    arena->used += rounded;
    return p;
}

size_t arena_rounded(size_t size)
{
    return size_round_up(size, ARENA_ALIGNMENT);
}

void arena_destroy(struct arena *arena)
{
    if (arena->base)
        munmap(arena->base, arena->size);
    *arena = (struct arena){0};
}
