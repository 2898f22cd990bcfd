/* Workers go before HTTP. While requests wait for a worker, more HTTP can only add to them or
 * refuse, so the threads that speak it take little of the CPUs for that: a flood of requests must
 * not slow down what was accepted. Lower priorities would do the same, but the system calls that
 * set them are not in the service's sandbox.
 *
 * Two ways to refuse. Who comes for the first time is told at once; of many such the thread sleeps
 * in between. Who has just had an answer and asks again on the same connection, though there is no
 * room, is not read until its turn comes: then the thread sleeps for nobody, and health is told in
 * a millisecond. So many clients that never wait wait here.
 *
 * All of it is for HTTP threads, of which there are `threads`, each for itself. */
#ifndef RESNEXT_HTTP_THROTTLE_H
#define RESNEXT_HTTP_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "serve/server.h"

/* To be called with every request, or connection of the watch's: what do they take? */
void throttle_measure(void);

/* Before a request that is no work. While at least half the queue is full and no worker is idle, it
 * sleeps as long as such requests have used more than their share, for some milliseconds. */
void throttle_pay(struct server *server, int threads);

/* How long a refusal is to wait whose client does not; such refusals go out one by one. 0 where each
 * HTTP thread has a CPU that no worker needs. */
int64_t throttle_later_ns(struct server *server, int threads);

/* Whether the queue is full, or will be when the uploads that began a moment ago are complete. Slow
 * uploads do not count, so that they keep nobody out. */
bool throttle_is_full(struct server *server, int threads);

/* Returns what throttle_upload_ends is to be told. */
int64_t throttle_upload_begins(void);
void throttle_upload_ends(int64_t begin_ns);

#endif
