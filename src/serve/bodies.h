/* The memory that bodies take, of requests and of answers, under one limit for all of them. Any
 * thread. */
#ifndef RESNEXT_SERVE_BODIES_H
#define RESNEXT_SERVE_BODIES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Zeroed, it has no space. `limit` may change at any time; what was taken stays taken. */
struct bodies {
    atomic_size_t used, limit;
};

/* A body of up to so many bytes is small, and has space at all times: so errors and health can be
 * told, and small pictures served, however many large uploads stand still. */
enum { BODIES_SMALL = 65536 };

/* Whether so many bytes would be given now. */
bool bodies_have_space(const struct bodies *bodies, size_t bytes);

/* Takes bytes, or nothing if there is no space: false. */
bool bodies_take(struct bodies *bodies, size_t bytes);

/* Takes bytes even beyond the limit, for what is small or there already. */
void bodies_count(struct bodies *bodies, size_t bytes);

/* Takes what a buffer of `capacity` bytes lacks to hold `needed`, and half as much again or what
 * there is space for, since all of it may be copied each time: then it has at least `min`, and at
 * most `max` bytes, which is no less than `needed`. Returns its new capacity; 0: there is no space,
 * which cannot be with up to BODIES_SMALL bytes. */
size_t bodies_grow(struct bodies *bodies, size_t capacity, size_t needed, size_t min, size_t max);

/* The same for a buffer itself: moves *bytes (from malloc) of *capacity bytes if it is too small.
 * ERR_OVERLOADED: there is no space; ERR_NO_MEMORY. Then nothing has changed. */
int bodies_resize(struct bodies *bodies, char **bytes, size_t *capacity, size_t needed, size_t min,
                  size_t max);

/* Gives back what was taken. */
void bodies_return(struct bodies *bodies, size_t bytes);

#endif
