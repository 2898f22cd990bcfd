/* Checks a kernel on a case: its results are those of plain loops, with the residual apart, in
 * place or absent, with and without ReLU, and with float32 outputs; tiles may run in one call, one
 * by one and in any order; one tile writes each output; nothing else is read or written. Scratch is
 * full of NaN. */
#ifndef RESNEXT_TESTS_KERNEL_CHECKER_H
#define RESNEXT_TESTS_KERNEL_CHECKER_H

#include "tests/kernel/conv_case.h"

struct check {
    const struct conv_kernel *kernel;
    const struct conv_data *data;
    bool brief; /* only two of the variants, chosen by `turn`; not which tile writes an output */
    struct guarded packed; /* the checker's own, as is `runs` */
    unsigned runs;
    char why[256]; /* the first thing that is wrong */
};

/* True if nothing is wrong. Variants and the order of tiles vary with `turn`. */
bool check_kernel(struct check *check, size_t turn);

/* Whether case `index` is to be checked. With CHECK_EVERY=n in the environment, for an emulator,
 * every n-th case is, and no large one. */
bool check_wants(const struct conv_case *c, size_t index);

/* Large cases are checked briefly, and all with CHECK_EVERY or AddressSanitizer. */
bool check_is_brief(const struct conv_case *c);

#endif
