/* Checks one kernel on one case: against what plain loops make of it, with the residual apart, in
 * place or absent, with and without ReLU, in float32 too; its tiles at once, in any order, each
 * alone; that every output belongs to one tile; and that nothing is read or written where it must
 * not be. Scratch is full of NaN. */
#ifndef RESNEXT_TESTS_KERNEL_CHECKER_H
#define RESNEXT_TESTS_KERNEL_CHECKER_H

#include "tests/kernel/conv_case.h"

struct check {
    const struct conv_kernel *kernel;
    const struct conv_data *data;
    bool brief; /* only two residuals and activations, by turn, and not whose outputs are */
    struct guarded packed; /* the checker's own, as are the runs so far */
    unsigned runs;
    char why[256]; /* the first thing that is wrong */
};

/* True if nothing is wrong. Another `turn` gives other calls, and other orders of tiles to
 * each. */
bool check_kernel(struct check *check, size_t turn);

/* Whether case `index` is to be checked. With CHECK_EVERY in the environment, for an emulator, only
 * every so many are, and no large ones. */
bool check_wants(const struct conv_case *c, size_t index);

/* Large cases are checked briefly, and all with CHECK_EVERY or AddressSanitizer. */
bool check_is_brief(const struct conv_case *c);

#endif
