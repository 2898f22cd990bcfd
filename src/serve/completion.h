/* The end of a request or a reload that somebody waits for. The request or reload contains it.
 *
 * It is PENDING until an outcome is set, once and for all. Of all that try to set one, only the
 * first succeeds and calls `done`, which hands the result to the waiter. The container lives until
 * the last reference is released. Any thread that holds a reference. */
#ifndef RESNEXT_SERVE_COMPLETION_H
#define RESNEXT_SERVE_COMPLETION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The outcome before one is set. Outcomes are 0 or an error, which is always negative. */
enum { COMPLETION_PENDING = 1 };

struct completion {
    int64_t deadline_ns; /* on clock_monotonic_ns: nobody waits any longer */
    void (*done)(void *waiter);
    void *waiter;
    atomic_int outcome, references;
};

/* Makes it pending, with one reference for the caller, who sets the other fields. */
void completion_init(struct completion *completion);

void completion_reference(struct completion *completion);

/* Releases a reference. True if it was the last: the caller frees the container. */
bool completion_release(struct completion *completion);

/* Sets the outcome if there is none yet, and then calls `done`. False if there was one. */
bool completion_finish(struct completion *completion, int outcome);

/* COMPLETION_PENDING or the outcome. */
int completion_outcome(const struct completion *completion);

#endif
