/* One piece of memory, allocated by moving a pointer. It is mapped once and touched at creation, so
 * that no request pays for a page fault; huge pages are requested. One owner, one thread at a time.
 */
#ifndef RESNEXT_BASE_ARENA_H
#define RESNEXT_BASE_ARENA_H

#include <stddef.h>

#include "base/error.h"

/* Every block starts on a multiple of this. */
enum { ARENA_ALIGNMENT = 64 };

struct arena {
    unsigned char *base;
    size_t size;
    size_t used;
};

/* Maps `size` bytes (zeroed). ERR_NO_MEMORY, see memory_check. A size of 0 is fine. */
int arena_create(struct arena *arena, size_t size, struct error *err);

/* Takes `size` bytes, aligned to ARENA_ALIGNMENT. Taking more than is left is a programmer error.
 */
void *arena_take(struct arena *arena, size_t size);

/* The number of bytes that a block of `size` bytes uses in an arena. */
size_t arena_rounded(size_t size);

/* Gives the memory back. Harmless on a zeroed or destroyed arena. */
void arena_destroy(struct arena *arena);

#endif
