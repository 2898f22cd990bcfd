#include "serve/bodies.h"

#include "base/check.h"

bool bodies_have_room(const struct bodies *bodies, size_t bytes)
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

void bodies_return(struct bodies *bodies, size_t bytes)
{
    size_t used = atomic_fetch_sub(&bodies->used, bytes);
    CHECK(used >= bytes);
}
