/* Chooses the margin of a model cascade, so that its decisions agree with float32's as promised. */
#ifndef RESNEXT_TOOL_CASCADE_H
#define RESNEXT_TOOL_CASCADE_H

#include "model/model.h"

/* How many pictures must have been held out to promise such an agreement, a fraction: 100, and so
 * many that it lets a quarter of one differ. */
size_t cascade_images_needed(double agreement);

/* `logits` are those of `images` pictures that nothing was chosen by, [images][2][classes]: of
 * float32, then of int8. `agreement` is a fraction. Chooses the smallest margin with which, at a
 * confidence of 95 %, other pictures of their kind agree at least so often. Sets `*out` to 0 if no
 * picture need be computed again.
 *
 * The risk of a picture is the chance that the noise of int8 turns its decision: the fraction of
 * the noises of all pictures, as they are and with the other sign, that would do so. It is a
 * smoother measure than the count of those turned, which are few.
 *
 * ERR_PARAMETER: there are fewer than needed, or all would have to be computed again;
 * ERR_MODEL_UNSUPPORTED: no calibration may have this margin; ERR_NO_MEMORY. */
int cascade_choose(const struct model *model, const float *logits, size_t images, double agreement,
                   struct cascade *out, struct error *err);

#endif
