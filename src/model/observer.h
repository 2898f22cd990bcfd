/* Observes the outputs of a float32 network's layers while it runs on pictures, and chooses int8
 * scales from them. There are two rounds over the same pictures: the first finds the range of each
 * channel, the second its histogram.
 *
 * Concurrency. Any number of threads may call observer_forward at once, each with its own
 * workspace; each layer has a lock for its counts. Counts are whole numbers, and minimum and
 * maximum do not depend on order, so neither does the result. One thread at a time calls the other
 * functions. */
#ifndef RESNEXT_MODEL_OBSERVER_H
#define RESNEXT_MODEL_OBSERVER_H

#include "model/calibration.h"
#include "model/ranges.h"
#include "nn/network.h"

struct observer;

/* `network` is float32 and must outlive the observer. ERR_NO_MEMORY. `*out` belongs to the caller.
 */
int observer_create(struct observer **out, const struct network *network, struct error *err);
void observer_destroy(struct observer *observer);

/* Runs the network on the image in the input of `workspace` and observes each layer. Returns the
 * logits, as network_forward does. */
const float *observer_forward(struct observer *observer, struct workspace *workspace);

/* Starts the second round. ERR_NO_MEMORY. */
int observer_second_round(struct observer *observer, struct error *err);

/* After the second round: makes a calibration with scales, zeros, means and the method; the caller
 * fills the rest and destroys it. ERR_MODEL_UNSUPPORTED if a number is out of a calibration's
 * range, ERR_NO_MEMORY. */
int observer_choose(const struct observer *observer, enum range_method method,
                    struct calibration *out, struct error *err);

#endif
