/* The memory that bodies take, of requests and of answers, under one limit for all of them. Any
 * thread. */
#ifndef RESNEXT_SERVE_BODIES_H
#define RESNEXT_SERVE_BODIES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* Zeroed, it has no room. `limit` may change at any time; what was taken stays taken. */
struct bodies {
    atomic_size_t used, limit;
};

/* A body of up to so many bytes is small: an answer of that size is never refused, so that errors
 * and health can be told at all times. */
enum { BODIES_SMALL = 65536 };

/* Whether so many bytes would be given now. */
bool bodies_have_room(const struct bodies *bodies, size_t bytes);

/* Takes bytes, or nothing if there is no room: false. */
bool bodies_take(struct bodies *bodies, size_t bytes);

/* Takes bytes even beyond the limit, for what is small or there already. */
void bodies_count(struct bodies *bodies, size_t bytes);

/* Gives back what was taken. */
void bodies_return(struct bodies *bodies, size_t bytes);

#endif
