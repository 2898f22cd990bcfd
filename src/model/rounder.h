/* Chooses the rounding of int8 weights by least squares: observes the inputs of a float32 network's
 * layers while it runs on pictures, as the bytes that int8 makes of them, and rounds the weights so
 * that the outputs change least. The second moments of all inputs can take much memory, so there
 * are several passes over the same pictures, each for the layers, or groups of a layer, that fit.
 *
 * Concurrency. Any number of threads, up to the number given, may call rounder_forward at once,
 * each with its own number and workspace; each layer has a lock for its sums. Sums are whole
 * numbers below 2^53 in double, so the result does not depend on order. One thread at a time calls
 * the other functions. */
#ifndef RESNEXT_MODEL_ROUNDER_H
#define RESNEXT_MODEL_ROUNDER_H

#include <stdbool.h>
#include <stdint.h>

#include "model/calibration.h"
#include "model/model.h"

struct rounder;

/* `model` is float32; it and `calibration`, which has scales and is bound, must outlive the
 * rounder. A pass takes `bytes` for second moments, or what one group needs if that is more. Opens
 * the model's folder to read its weights again. The errors of model_load, ERR_MODEL_INVALID if the
 * folder has changed, ERR_NO_MEMORY, also for what the threads need. `*out` belongs to the caller.
 */
int rounder_create(struct rounder **out, const struct model *model, struct calibration *calibration,
                   size_t bytes, size_t threads, struct error *err);
void rounder_destroy(struct rounder *rounder);

/* How many passes of so many bytes a network takes. */
size_t rounder_passes(const struct network *network, size_t bytes);

/* Starts the next pass. ERR_NO_MEMORY. */
int rounder_begin(struct rounder *rounder, struct error *err);

/* Runs the network on the image in the input of `workspace`, up to the last layer of the pass, and
 * observes a fixed number of its pixels. Equal images have equal `seed`s, which choose the pixels.
 */
void rounder_forward(struct rounder *rounder, size_t thread, struct workspace *workspace,
                     uint64_t seed);

/* After a pass: puts the roundings of its layers into the calibration. The errors of reading
 * weights, ERR_NO_MEMORY. */
int rounder_choose(struct rounder *rounder, struct error *err);

#endif
