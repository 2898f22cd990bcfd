/* What the rest of kernel/ uses of OpenBLAS, and OpenBLAS's demands on the process. What it needs
 * before main is done before main in every program that has its kernels: with one thread and on
 * kernels that run here and suit the CPU, or the program ends with a line on standard error. */
#ifndef RESNEXT_KERNEL_OPENBLAS_OPENBLAS_H
#define RESNEXT_KERNEL_OPENBLAS_OPENBLAS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cpu.h"
#include "base/error.h"

/* c[m][n] = (add ? c[m][n] : 0) + the sum over k of a[k][m] b[k][n]; `ldb` and `ldc` are the
 * distances of rows. On the calling thread. */
void blas_multiply(size_t m, size_t n, size_t k, const float *a, const float *b, size_t ldb,
                   bool add, float *c, size_t ldc);

/* The `check_memory` of a struct conv_method: OpenBLAS waits for ever where there is no address
 * space, and ends the program where too many threads use it at once. */
int blas_check_memory(int threads, struct error *err);

/* The `library` of a struct conv_method, e.g. "OpenBLAS SkylakeX". */
const char *blas_library(void);

/* The core to ask OpenBLAS for instead of `core`, which it chose; NULL: none, since the user
 * `asked` for one (NULL: did not), the CPU has no AVX2, or `core` suits it. */
const char *blas_better_core(const char *core, struct cpu_features cpu, const char *asked);

#endif
