#include "http/connections/deadlines.h"

#include <stdlib.h>

#include "base/check.h"

int deadlines_open(struct deadlines *d, size_t capacity, struct error *err)
{
    *d = (struct deadlines){.capacity = capacity};
    d->heap = calloc(capacity + 1, sizeof(struct deadline *));
    return d->heap ? ERR_OK
                   : error_set(err, ERR_NO_MEMORY, "no memory for %zu deadlines", capacity);
}

void deadlines_close(struct deadlines *d)
{
    free(d->heap);
    *d = (struct deadlines){0};
}

static void put(struct deadlines *d, size_t place, struct deadline *deadline)
{
    d->heap[place] = deadline;
    deadline->place = place;
}

static void rise(struct deadlines *d, struct deadline *deadline)
{
    size_t at = deadline->place;
    for (; at > 1 && d->heap[at / 2]->at_ns > deadline->at_ns; at /= 2)
        put(d, at, d->heap[at / 2]);
    put(d, at, deadline);
}

static void sink(struct deadlines *d, struct deadline *deadline)
{
    size_t at = deadline->place, child;
    while ((child = 2 * at) <= d->count) {
        if (child < d->count && d->heap[child + 1]->at_ns < d->heap[child]->at_ns)
            child++;
        if (d->heap[child]->at_ns >= deadline->at_ns)
            break;
        put(d, at, d->heap[child]);
        at = child;
    }
    put(d, at, deadline);
}

void deadlines_set(struct deadlines *d, struct deadline *deadline, int64_t at_ns)
{
    deadline->at_ns = at_ns;
    if (deadline->place == 0) {
        CHECK(d->count < d->capacity);
        put(d, ++d->count, deadline);
    }
    rise(d, deadline);
    sink(d, deadline);
}

void deadlines_unset(struct deadlines *d, struct deadline *deadline)
{
    size_t place = deadline->place;
    if (place == 0)
        return;
    deadline->place = 0;
    struct deadline *last = d->heap[d->count--];
    if (last == deadline)
        return;
    put(d, place, last);
    rise(d, last);
    sink(d, last);
}

struct deadline *deadlines_first(const struct deadlines *d)
{
    return d->count > 0 ? d->heap[1] : NULL;
}
