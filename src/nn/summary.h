/* A short summary of the kernels of a network's convolutions. */
#ifndef RESNEXT_NN_SUMMARY_H
#define RESNEXT_NN_SUMMARY_H

#include "kernel/kernel.h"

enum { NETWORK_SUMMARY_NAMES = 96, NETWORK_SUMMARY_TEXT = 2 * NETWORK_SUMMARY_NAMES + 16 };

/* Names of kernel_runs_on, each once, in order of appearance, joined by "+"; "" if there is no such
 * convolution. Starts zeroed. */
struct network_summary {
    char dense[NETWORK_SUMMARY_NAMES];   /* of convolutions with one group, and the classifier */
    char grouped[NETWORK_SUMMARY_NAMES]; /* of those with more */
};

void network_summary_add(struct network_summary *summary, const struct conv_kernel *kernel,
                         const struct conv_shape *shape);

/* "dense avx512, grouped OpenBLAS SkylakeX"; only "dense avx512" without grouped ones. */
void network_summary_text(const struct network_summary *summary, char text[NETWORK_SUMMARY_TEXT]);

#endif
