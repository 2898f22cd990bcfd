/* Workers have priority over HTTP. While a request waits for a worker, or every worker is busy, the
 * HTTP threads use little CPU time for requests that need no worker, so that a flood of such
 * requests does not slow down accepted requests. Lower thread priorities would have the same
 * effect, but the service's sandbox forbids the system calls that set them.
 *
 * The server delays the reading of some requests until their turn: those that need no worker, those
 * of a client whose last request failed, and those for which there is no space. This slows down
 * clients that never pause between requests. New clients have separate turns, so that clients that
 * repeat requests do not delay them. A thread never sleeps, so health checks are answered within a
 * millisecond.
 *
 * Only HTTP threads call these functions. There are `threads` of them, each with its own state. */
#ifndef RESNEXT_HTTP_THROTTLE_H
#define RESNEXT_HTTP_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "serve/server.h"

/* Measures the CPU time of a request. To be called for every request. */
void throttle_measure(void);

/* The time that a request must wait for its turn. `is_back`: its client has had an answer before.
 * Turns come one after another, but the wait is two seconds at most. 0 while a worker is idle, or
 * if each HTTP thread has a CPU that no worker needs. */
int64_t throttle_turn_ns(struct server *server, int threads, bool is_back);

/* Whether the queue is full, or will be full when the uploads that began a moment ago are complete.
 * Slow uploads do not count, so that they cannot block other requests. */
bool throttle_is_full(struct server *server, int threads);

/* To be called when an upload begins and when it ends. throttle_upload_begins returns the time to
 * pass to throttle_upload_ends. */
int64_t throttle_upload_begins(void);
void throttle_upload_ends(int64_t begin_ns);

#endif
