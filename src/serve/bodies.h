/* The memory that the bodies of requests and answers take, under one limit for all of them. Any
 * thread. */
#ifndef RESNEXT_SERVE_BODIES_H
#define RESNEXT_SERVE_BODIES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* A zeroed one has no space. `limit` may change at any time; memory that was taken stays taken. */
struct bodies {
    atomic_size_t used, limit;
};

/* A body of up to this many bytes is small and always has space. So errors and health can be
 * reported, and small pictures served, however many large uploads are stalled. */
enum { BODIES_SMALL = 65536 };

/* Whether bodies_take would succeed now. */
bool bodies_have_space(const struct bodies *bodies, size_t bytes);

/* Takes bytes. False, and nothing is taken, if there is no space. */
bool bodies_take(struct bodies *bodies, size_t bytes);

/* Takes bytes even above the limit: for small bodies, and for bytes that are in memory already. */
void bodies_count(struct bodies *bodies, size_t bytes);

/* Takes the bytes that a buffer of `capacity` bytes lacks to hold `needed`, and half as many more,
 * or as many as there is space for, since each growth may copy the buffer. The new capacity is at
 * least `min` and at most `max`, which is not less than `needed`. Returns it; 0 if there is no
 * space, which cannot happen up to BODIES_SMALL bytes. */
size_t bodies_grow(struct bodies *bodies, size_t capacity, size_t needed, size_t min, size_t max);

/* Does the same with the buffer itself: moves *bytes (from malloc) if *capacity is less than
 * `needed`. ERR_OVERLOADED: there is no space; ERR_NO_MEMORY. Nothing has changed then. */
int bodies_resize(struct bodies *bodies, char **bytes, size_t *capacity, size_t needed, size_t min,
                  size_t max);

/* Returns bytes that were taken. */
void bodies_return(struct bodies *bodies, size_t bytes);

#endif
