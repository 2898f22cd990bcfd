/* How well a network in another precision agrees with the float32 one: both on the same pictures,
 * layer by layer. */
#ifndef RESNEXT_TOOL_AGREEMENT_H
#define RESNEXT_TOOL_AGREEMENT_H

#include "model/model.h"
#include "tool/engine.h"
#include "tool/progress.h"

struct agreement {
    size_t images;
    double decisions;  /* fraction of the images with the same likeliest class; of sigmoids, with
                        * the same classes at a score of 0.5 or more */
    double cosine;     /* of the two logits, each less float32's mean over all images; mean ... */
    double min_cosine; /* ... and least of the images */
    double *decibels;  /* [layers] signal to noise of what a layer puts out */
};

/* Runs `exact`, which is float32, and `other` over the files, the former's options.compute being
 * taken over. Files that fail are passed over. `*out` is to be destroyed when ERR_OK is returned.
 * ERR_NO_MEMORY, ERR_THREAD. */
int agreement_measure(const struct model *exact, const struct model *other,
                      const struct file_list *files, const struct engine_options *options,
                      struct progress *progress, struct agreement *out, struct error *err);
void agreement_destroy(struct agreement *agreement);

#endif
