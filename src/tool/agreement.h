/* Compares a network in another precision with the float32 one, layer by layer. */
#ifndef RESNEXT_TOOL_AGREEMENT_H
#define RESNEXT_TOOL_AGREEMENT_H

#include "tool/tool.h"

struct agreement {
    size_t images;
    double decisions;  /* fraction of the images with the same top class; with sigmoids, with the
                        * same classes at a score of 0.5 or more */
    double cosine;     /* mean cosine of both logits, less float32's mean over all images */
    double min_cosine; /* the smallest of these cosines */
    double *decibels;  /* [layers] signal-to-noise ratio of a layer's output; NaN if the other
                        * network does not have it */
    float *logits;     /* [images][2][classes]: of float32, then of the other */
};

/* Runs tool->model, which is float32, and `other` over the files. Replaces `compute` in
 * tool->engine. Files that fail are counted and skipped. After ERR_OK the caller destroys `*out`.
 * ERR_NO_MEMORY, ERR_THREAD. */
int agreement_measure(struct tool *tool, const struct model *other, const struct file_list *files,
                      struct agreement *out, struct error *err);
/* Whether both logits make the same decision. */
bool agreement_of(const struct model *model, const float *a, const float *b);

void agreement_destroy(struct agreement *agreement);

#endif
