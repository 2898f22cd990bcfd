#include "serve/bodies.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"

bool bodies_have_space(const struct bodies *bodies, size_t bytes)
{
    size_t used = atomic_load(&bodies->used), limit = atomic_load(&bodies->limit);
    return used <= limit && bytes <= limit - used;
}

bool bodies_take(struct bodies *bodies, size_t bytes)
{
    size_t used = atomic_load(&bodies->used), limit;
    do {
        limit = atomic_load(&bodies->limit);
        if (used > limit || bytes > limit - used)
            return false;
    } while (!atomic_compare_exchange_weak(&bodies->used, &used, used + bytes));
    return true;
}

void bodies_count(struct bodies *bodies, size_t bytes)
{
    atomic_fetch_add(&bodies->used, bytes);
}

static size_t lesser(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t bodies_grow(struct bodies *bodies, size_t capacity, size_t needed, size_t min, size_t max)
{
    size_t ample = needed + needed / 2;
    size_t wanted = lesser(ample < min ? min : ample, max);
    if (needed <= BODIES_SMALL) {
        wanted = lesser(wanted, BODIES_SMALL);
        bodies_count(bodies, wanted - capacity);
        return wanted;
    }
    while (!bodies_take(bodies, wanted - capacity)) {
        if (wanted == needed)
            return 0;
        wanted = needed + (wanted - needed) / 2;
    }
    return wanted;
}

int bodies_resize(struct bodies *bodies, char **bytes, size_t *capacity, size_t needed, size_t min,
                  size_t max)
{
    if (needed <= *capacity)
        return ERR_OK;
    size_t more = bodies_grow(bodies, *capacity, needed, min, max);
    if (more == 0)
        return ERR_OVERLOADED;
    char *moved = realloc(*bytes, more);
    if (!moved) {
        bodies_return(bodies, more - *capacity);
        return ERR_NO_MEMORY;
    }
    *bytes = moved;
    *capacity = more;
    return ERR_OK;
}

void bodies_return(struct bodies *bodies, size_t bytes)
{
    size_t used = atomic_fetch_sub(&bodies->used, bytes);
    CHECK(used >= bytes);
}
