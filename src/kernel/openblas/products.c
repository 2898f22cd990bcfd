#include <cblas.h>

#include "kernel/openblas/openblas.h"

void blas_multiply(size_t m, size_t n, size_t k, const float *a, const float *b, size_t ldb,
                   bool add, float *c, size_t ldc)
{
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1, a,
                (blasint)m, b, (blasint)ldb, add ? 1 : 0, c, (blasint)ldc);
}
