/* Watches what a float32 network puts out while it runs over pictures, and chooses int8 scales from
 * that. In two rounds over the same pictures: the first finds the range of each channel, the second
 * how its values are spread over it.
 *
 * Concurrency. Any number of threads may watch at once, each its own workspace; a layer's counts
 * are guarded by a lock of that layer. Counts are whole numbers and ranges have no order, so the
 * result does not depend on the threads. The rest is for one thread. */
#ifndef RESNEXT_MODEL_OBSERVER_H
#define RESNEXT_MODEL_OBSERVER_H

#include "model/calibration.h"
#include "nn/network.h"

#define RANGE_METHOD_NAMES(NAME)                                                                   \
    NAME(RANGE_MINMAX, "minmax")                                                                   \
    NAME(RANGE_PERCENTILE, "percentile")                                                           \
    NAME(RANGE_MSE, "mse")

/* How a channel's range is chosen: all that was seen, all but the outermost 0.01 % of the values,
 * or the range with the smallest mean square of rounding and clipping errors. */
enum range_method { RANGE_METHOD_NAMES(NAME_VALUE) RANGE_METHOD_COUNT };
extern const char *const range_method_names[];

struct observer;

/* Of a float32 network, which must outlive it. ERR_NO_MEMORY. `*out` belongs to the caller. */
int observer_create(struct observer **out, const struct network *network, struct error *err);
void observer_destroy(struct observer *observer);

/* One image through the network whose input lies in `workspace`, watched at each layer. Returns the
 * logits, as network_forward. */
const float *observer_forward(struct observer *observer, struct workspace *workspace);

/* Between the rounds. ERR_NO_MEMORY. */
int observer_second_round(struct observer *observer, struct error *err);

/* Fills scales, zeros and means of a new calibration, and its method; the rest is the caller's.
 * ERR_MODEL_UNSUPPORTED if numbers were seen that no calibration can hold, ERR_NO_MEMORY. */
int observer_choose(const struct observer *observer, enum range_method method,
                    struct calibration *out, struct error *err);

#endif
