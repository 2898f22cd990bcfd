/* Checks a kernel on a case: its results are those of plain loops, with the residual apart, in
 * place or absent, with and without ReLU and gate, and with float32 outputs; tiles may run in one
 * call, one by one and in any order; one tile writes each output; nothing else is read or written.
 * Scratch is full of NaN. */
#ifndef RESNEXT_TESTS_KERNEL_CHECKER_H
#define RESNEXT_TESTS_KERNEL_CHECKER_H

#include "tests/kernel/conv_case.h"

struct check {
    const struct conv_kernel *kernel;
    const struct conv_data *data;
    const struct conv_data *shortcut; /* of the same outputs; only for check_shortcut() */
    bool brief; /* only two of the variants, chosen by `turn`; not which tile writes an output */
    struct conv_shape shape; /* the checker's own, as is what follows */
    struct guarded packed;
    unsigned runs, bounded; /* calls; variants that also ran as bounded */
    struct guarded spread;  /* the shortcut's input, pixels `pitch` elements apart */
    size_t pitch;
    char why[256]; /* the first thing that is wrong */
};

/* True if nothing is wrong. Variants and the order of tiles vary with `turn`. */
bool check_kernel(struct check *check, size_t turn);

/* The same for the kernel's shape with a shortcut. */
bool check_shortcut(struct check *check, size_t turn);

/* Checks `count` kernels of one precision on all cases that they support, which must be one or
 * more. With CHECK_EVERY=n in the environment, for an emulator, only every n-th case counts, and no
 * large one. Large cases are checked briefly, and so are all with CHECK_EVERY or AddressSanitizer.
 */
void check_kernels(const struct conv_kernel *const *kernels, size_t count,
                   enum conv_numbers numbers);

#endif
