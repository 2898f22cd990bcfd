/* Checks one kernel on one case: against what plain loops make of it, with the residual apart, in
 * place or absent, with and without ReLU, in float32 too; its tiles at once, in any order, each
 * alone; that every output belongs to one tile; and that nothing is read or written where it must
 * not be. Scratch is full of NaN. Of large cases it checks two residuals and activations by turn,
 * and not whose outputs are. */
#ifndef RESNEXT_TESTS_KERNEL_CHECKER_H
#define RESNEXT_TESTS_KERNEL_CHECKER_H

#include "tests/kernel/conv_case.h"

struct check {
    const struct conv_kernel *kernel;
    const struct conv_data *data;
    bool brief;            /* as for large cases */
    struct guarded packed; /* the checker's own */
    char why[256];         /* the first thing that is wrong */
};

/* True if nothing is wrong. Another `turn` gives other calls, and other orders of tiles to
 * each. */
bool check_kernel(struct check *check, size_t turn);

/* 1, or CHECK_EVERY of the environment: only every so many cases, under an emulator. */
size_t check_step(void);

#endif
