/* Linear algebra in double, by OpenBLAS, on the calling thread. Matrices are stored by rows. */
#ifndef RESNEXT_KERNEL_OPENBLAS_MATRIX_H
#define RESNEXT_KERNEL_OPENBLAS_MATRIX_H

#include <stdbool.h>
#include <stddef.h>

/* Adds x^T x to the upper triangle of a[n][n]; x is [rows][n]. */
void matrix_add_square(size_t n, size_t rows, const double *x, double *a);

/* c[m][n] = a[m][k] b[k][n]; rows of `a` are `lda` apart. */
void matrix_multiply(size_t m, size_t n, size_t k, const double *a, size_t lda, const double *b,
                     double *c);

/* The Cholesky decomposition a = r^T r: replaces the upper triangle of a[n][n] by r and leaves the
 * rest. False if `a` is not positive definite; its upper triangle is then lost. */
bool matrix_cholesky(size_t n, double *a);

#endif
