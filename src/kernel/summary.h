/* What the convolutions of a network run on, in few words. */
#ifndef RESNEXT_KERNEL_SUMMARY_H
#define RESNEXT_KERNEL_SUMMARY_H

#include "kernel/kernel.h"

enum { KERNEL_SUMMARY_NAMES = 96, KERNEL_SUMMARY_TEXT = 2 * KERNEL_SUMMARY_NAMES + 16 };

/* The names of kernel_runs_on, each once, in the order in which they came, joined by "+"; "": no
 * such convolution. Zeroed, it is of none. */
struct kernel_summary {
    char dense[KERNEL_SUMMARY_NAMES];   /* of convolutions with one group, and the classifier */
    char grouped[KERNEL_SUMMARY_NAMES]; /* of those with more */
};

void kernel_summary_add(struct kernel_summary *summary, const struct conv_kernel *kernel,
                        const struct conv_shape *shape);

/* "dense avx512, grouped OpenBLAS SkylakeX"; only "dense avx512" without grouped ones. */
void kernel_summary_text(const struct kernel_summary *summary, char text[KERNEL_SUMMARY_TEXT]);

#endif
