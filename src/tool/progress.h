/* A progress bar on standard error, shown only on a terminal. One thread. */
#ifndef RESNEXT_TOOL_PROGRESS_H
#define RESNEXT_TOOL_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
    bool visible, drawn;
    size_t total, done, failed;
    int64_t started_ns, drawn_ns;
};

/* Starts a bar for `total` files. With fewer than two nothing is shown. */
void progress_start(struct progress *progress, size_t total);

/* Counts one more file and redraws the bar, at most ten times per second. */
void progress_step(struct progress *progress, bool failed);

/* Erases the bar. To be called before other text and at the end. */
void progress_clear(struct progress *progress);

#endif
