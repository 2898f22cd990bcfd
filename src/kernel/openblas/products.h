/* What the others use of OpenBLAS. */
#ifndef RESNEXT_KERNEL_OPENBLAS_PRODUCTS_H
#define RESNEXT_KERNEL_OPENBLAS_PRODUCTS_H

#include <stdbool.h>
#include <stddef.h>

/* c[m][n] = (add ? c[m][n] : 0) + the sum over k of a[k][m] b[k][n]; `ldb` and `ldc` are the
 * distances of rows. On the calling thread. */
void blas_multiply(size_t m, size_t n, size_t k, const float *a, const float *b, size_t ldb,
                   bool add, float *c, size_t ldc);

#endif
