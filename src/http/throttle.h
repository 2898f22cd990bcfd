/* Workers have priority over HTTP. While a request waits for a worker, or every worker is busy, the
 * HTTP threads use little CPU time for anything but work: a flood of requests must not slow down
 * the requests that were accepted. Lower thread priorities would do the same, but the service's
 * sandbox forbids the system calls that set them.
 *
 * Some requests are not read until their turn comes: those that need no worker, those of a client
 * whose last request failed, and those for which there is no space. So clients that never pause
 * between requests are made to wait here. New clients take turns of their own, so that clients that
 * ask again and again do not delay them. A thread never sleeps, so health checks are answered
 * within a millisecond.
 *
 * All functions are for HTTP threads. There are `threads` of them, and each keeps its own state. */
#ifndef RESNEXT_HTTP_THROTTLE_H
#define RESNEXT_HTTP_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "serve/server.h"

/* To be called for every request: measures the CPU time that a request takes. */
void throttle_measure(void);

/* How long a request must wait for its turn. `is_back`: its client has had an answer before. Turns
 * come one by one, but nobody waits for more than two seconds. 0 while a worker is idle, and where
 * each HTTP thread has a CPU that no worker needs. */
int64_t throttle_turn_ns(struct server *server, int threads, bool is_back);

/* Whether the queue is full, or will be when the uploads that began a moment ago are complete. Slow
 * uploads do not count, so that they cannot keep others out. */
bool throttle_is_full(struct server *server, int threads);

/* Note that an upload begins and ends. The first returns the time to pass to the second. */
int64_t throttle_upload_begins(void);
void throttle_upload_ends(int64_t begin_ns);

#endif
