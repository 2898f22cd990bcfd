#include "base/arena.h"

#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/size.h"

enum { HUGE_PAGE = 2 << 20 };

int arena_create(struct arena *arena, size_t size, struct error *err)
{
    *arena = (struct arena){0};
    if (size == 0)
        return ERR_OK;
    int code = memory_check(size, err);
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
