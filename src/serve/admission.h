/* How long a request would wait, estimated from measurements, so that a request that cannot meet
 * its deadline is refused while its client can still go elsewhere.
 *
 * Each model keeps the time that one of its pictures takes a worker, decoding included: a moving
 * average with a weight of 1/8 for the newest, as TCP keeps for round trips (RFC 6298). Until one
 * picture is done, it is the longest time of those that were not. The wait is the work ahead, in
 * the queue and with the workers, divided by the number of workers. While a worker is idle there is
 * no wait and every request is taken: otherwise an average above the deadline could never come down
 * again. Any thread. */
#ifndef RESNEXT_SERVE_ADMISSION_H
#define RESNEXT_SERVE_ADMISSION_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/model_info.h"

struct served_model {
    struct model_info info;
    _Atomic int64_t
        picture_ns; /* how long one picture takes a worker; negated while none is done */
};

/* One picture has taken a worker `ns`. */
void admission_learn(struct served_model *entry, int64_t ns);

/* A picture was given up or failed after `ns`; a finished one takes longer. */
void admission_learn_min(struct served_model *entry, int64_t ns);

/* The expected time of `pictures` in a worker; 0 if nothing is known. */
int64_t admission_expected_ns(const struct served_model *entry, size_t pictures);

/* The work that the workers have taken. Each has announced when it expects to be free (0: it is).
 */
struct admission_work {
    int workers, busy;
    int64_t remaining_ns; /* of all together */
};

/* The wait behind `depth` requests that are expected to take `queued_ns` together. */
int64_t admission_wait_ns(const struct admission_work *work, size_t depth, int64_t queued_ns);

/* Retry-After in whole seconds, 1 to 3600: when the waiting requests are expected to be done. */
int admission_retry_after_s(int64_t wait_ns);

#endif
