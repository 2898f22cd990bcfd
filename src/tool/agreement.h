/* How well a network in another precision agrees with the float32 one: both on the same pictures,
 * layer by layer. */
#ifndef RESNEXT_TOOL_AGREEMENT_H
#define RESNEXT_TOOL_AGREEMENT_H

#include "tool/tool.h"

struct agreement {
    size_t images;
    double decisions;  /* fraction of the images with the same likeliest class; of sigmoids, with
                        * the same classes at a score of 0.5 or more */
    double cosine;     /* of the two logits, each less float32's mean over all images; mean ... */
    double min_cosine; /* ... and least of the images */
    double *decibels;  /* [layers] signal to noise of what a layer puts out */
};

/* Runs tool->model, which is float32, and `other` over the files, which sets tool->engine's
 * compute. Files that fail are counted and passed over. `*out` is to be destroyed when ERR_OK is
 * returned. ERR_NO_MEMORY, ERR_THREAD. */
int agreement_measure(struct tool *tool, const struct model *other, const struct file_list *files,
                      struct agreement *out, struct error *err);
void agreement_destroy(struct agreement *agreement);

#endif
