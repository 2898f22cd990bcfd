/* Workers go before HTTP. While a request waits for a worker or none is idle, the threads that
 * speak HTTP take little of the CPUs for what is no work: a flood of requests must not slow down
 * what was accepted. Lower priorities would do the same, but the system calls that set them are not
 * in the service's sandbox.
 *
 * What can wait is not read until its turn comes: what is no work, what follows what came to
 * nothing, and what there is no space for. So many clients that never wait wait here. Clients that
 * are new have turns of their own, so that those that ask again and again do not hold them up. A
 * thread never sleeps, so that health is told in a millisecond.
 *
 * All of it is for HTTP threads, of which there are `threads`, each for itself. */
#ifndef RESNEXT_HTTP_THROTTLE_H
#define RESNEXT_HTTP_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "serve/server.h"

/* To be called with every request: what do they take? */
void throttle_measure(void);

/* How long a request that can wait is to do so, its client being back after an answer or new; their
 * turns come one by one, but none after more than two seconds, whatever the crowd. 0 while a worker
 * is idle, and where each HTTP thread has a CPU that no worker needs. */
int64_t throttle_turn_ns(struct server *server, int threads, bool is_back);

/* Whether the queue is full, or will be when the uploads that began a moment ago are complete. Slow
 * uploads do not count, so that they keep nobody out. */
bool throttle_is_full(struct server *server, int threads);

/* Returns what throttle_upload_ends is to be told. */
int64_t throttle_upload_begins(void);
void throttle_upload_ends(int64_t begin_ns);

#endif
