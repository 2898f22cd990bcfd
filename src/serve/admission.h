/* How long a request would wait, from what was measured, so that one that cannot meet its deadline
 * is refused while its client can still go elsewhere.
 *
 * Each model remembers how long a picture of it takes a worker, decoding included: a moving average
 * with a weight of 1/8 for the newest, as TCP keeps of its round trips (RFC 6298). Until one is
 * done, it is the longest of those that were not. The wait is what is ahead, in the queue and in
 * the workers' hands, divided by the workers. With a worker to spare there is no wait, and a
 * request is always taken: else an average that is too high for a deadline could never come down
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

/* A picture was given up or failed after `ns`: one that is done takes longer. */
void admission_learn_min(struct served_model *entry, int64_t ns);

/* How long `pictures` will likely take a worker; 0 if nothing is known. */
int64_t admission_expected_ns(const struct served_model *entry, size_t pictures);

/* What the workers have in hand, as each has announced when it will likely be free (0: it is). */
struct admission_hands {
    int workers, busy;
    int64_t remaining_ns; /* of all together */
};

/* The wait for a worker behind `depth` requests that will take `queued_ns` together. */
int64_t admission_wait_ns(const struct admission_hands *hands, size_t depth, int64_t queued_ns);

/* Retry-After, in whole seconds, 1 to 3600: when what waits now will likely be done. */
int admission_retry_after_s(int64_t wait_ns);

#endif
