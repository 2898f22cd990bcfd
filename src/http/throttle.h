/* Workers go before HTTP. While requests wait for a worker, more HTTP can only add to them or
 * refuse, so the threads that speak it take little of the CPUs then: a flood of requests must not
 * slow down what was accepted. Lower priorities would do the same, but the system calls that set
 * them are not in the service's sandbox. */
#ifndef RESNEXT_HTTP_THROTTLE_H
#define RESNEXT_HTTP_THROTTLE_H

#include "serve/server.h"

/* Called by an HTTP thread, one of `threads`, before it begins with a request. While at least half
 * the queue is full and no worker is idle, it sleeps as long as this thread has used more than its
 * share, for at most a few milliseconds. */
void throttle(struct server *server, int threads);

#endif
