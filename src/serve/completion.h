/* The end of something that somebody waits for: a request or a reload, which contains it.
 *
 * It is PENDING until an outcome is set, once and for ever. Of all that try to set one, the first,
 * and nobody else, calls `done`, which hands the result back to whoever waits. What contains it
 * lives until the last reference is gone. Any thread that holds a reference. */
#ifndef RESNEXT_SERVE_COMPLETION_H
#define RESNEXT_SERVE_COMPLETION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The outcome of what is not finished. Outcomes are 0 or an (always negative) error. */
enum { COMPLETION_PENDING = 1 };

struct completion {
    int64_t deadline_ns; /* on clock_monotonic_ns: nobody waits any longer */
    void (*done)(void *waiter);
    void *waiter;
    atomic_int outcome, references;
};

/* Pending, with one reference, its maker's, who sets the other fields. */
void completion_init(struct completion *completion);

void completion_reference(struct completion *completion);

/* Gives up a reference. True if it was the last: the caller frees what contains it. */
bool completion_release(struct completion *completion);

/* Sets the outcome if there is none yet, and then calls `done`. False if another was quicker. */
bool completion_finish(struct completion *completion, int outcome);

/* COMPLETION_PENDING or the outcome. */
int completion_outcome(const struct completion *completion);

#endif
