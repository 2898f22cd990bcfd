/* OpenBLAS's demands on the process. What it needs before main is done before main in every program
 * that has its kernels: with one thread and on kernels that run here and suit the CPU, or the
 * program ends with a line on standard error. */
#ifndef RESNEXT_KERNEL_OPENBLAS_START_H
#define RESNEXT_KERNEL_OPENBLAS_START_H

#include "base/error.h"
#include "kernel/cpu.h"

/* The `room` of a struct conv_kernel: OpenBLAS waits for ever where there is none. */
int blas_room(int threads, struct error *err);

/* The `library` of a struct conv_kernel, e.g. "OpenBLAS SkylakeX". */
const char *blas_library(void);

/* The core to ask OpenBLAS for instead of `core`, which it chose; NULL: none, since the user
 * `asked` for one (NULL: did not), the CPU has no AVX2, or `core` is one for CPUs that have it. */
const char *blas_better_core(const char *core, struct cpu_features cpu, const char *asked);

#endif
