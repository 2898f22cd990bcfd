#include "kernel/openblas/matrix.h"

#include <cblas.h>
#include <math.h>

enum { BLOCK = 64 };

void matrix_add_square(size_t n, size_t rows, const double *x, double *a)
{
    cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, (blasint)n, (blasint)rows, 1, x, (blasint)n,
                1, a, (blasint)n);
}

void matrix_multiply(size_t m, size_t n, size_t k, const double *a, size_t lda, const double *b,
                     double *c)
{
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1, a,
                (blasint)lda, b, (blasint)n, 0, c, (blasint)n);
}

/* The decomposition of a block of `size`, in rows that are n apart. */
static bool decompose_block(size_t n, size_t size, double *a)
{
    for (size_t i = 0; i < size; i++) {
        double *row = a + i * n, pivot = row[i];
        if (!(pivot > 0) || !isfinite(pivot))
            return false;
        for (size_t j = i; j < size; j++)
            row[j] /= sqrt(pivot);
        for (size_t k = i + 1; k < size; k++)
            for (size_t j = k; j < size; j++)
                a[k * n + j] -= row[k] * row[j];
    }
    return true;
}

bool matrix_cholesky(size_t n, double *a)
{
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t size = n - at < BLOCK ? n - at : BLOCK, rest = n - at - size;
        double *block = a + at * n + at, *right = block + size;
        if (!decompose_block(n, size, block))
            return false;
        if (rest == 0)
            break;
        cblas_dtrsm(CblasRowMajor, CblasLeft, CblasUpper, CblasTrans, CblasNonUnit, (blasint)size,
                    (blasint)rest, 1, block, (blasint)n, right, (blasint)n);
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, (blasint)rest, (blasint)size, -1, right,
                    (blasint)n, 1, right + size * n, (blasint)n);
    }
    return true;
}
