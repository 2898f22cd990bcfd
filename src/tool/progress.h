/* A progress bar on standard error: only if that is a terminal. One thread. */
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

/* Nothing is shown for fewer than two files. */
void progress_start(struct progress *progress, size_t total);

/* One more file is done: draws the bar again, at most ten times a second. */
void progress_step(struct progress *progress, bool failed);

/* Takes the bar off the screen, before other text and at the end. */
void progress_clear(struct progress *progress);

#endif
