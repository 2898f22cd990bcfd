/* Deadlines, earliest first: a binary heap whose entries are embedded in the structs they belong
 * to. Guarded by its owner's lock. */
#ifndef RESNEXT_HTTP_CONNECTIONS_DEADLINES_H
#define RESNEXT_HTTP_CONNECTIONS_DEADLINES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define DEADLINE_NEVER INT64_MAX

/* One deadline; zeroed, it is not set. */
struct deadline {
    int64_t at_ns; /* on clock_monotonic_ns */
    size_t place;  /* in the heap, from 1; 0: not in it */
    void *owner;   /* the maker's */
};

struct deadlines {
    struct deadline **heap; /* [capacity + 1], the first not used */
    size_t count, capacity;
};

/* `capacity`: how many can be set at a time. ERR_NO_MEMORY. */
int deadlines_open(struct deadlines *d, size_t capacity, struct error *err);
void deadlines_close(struct deadlines *d);

/* Sets a deadline, or moves it. */
void deadlines_set(struct deadlines *d, struct deadline *deadline, int64_t at_ns);

/* Takes a deadline out; nothing if it is not set. */
void deadlines_unset(struct deadlines *d, struct deadline *deadline);

/* The earliest one, or NULL. */
struct deadline *deadlines_first(const struct deadlines *d);

#endif
