/* What the OpenBLAS kernels share: tiles, and what surrounds a product. */
#ifndef RESNEXT_KERNEL_OPENBLAS_COMMON_H
#define RESNEXT_KERNEL_OPENBLAS_COMMON_H

#include "kernel/kernel.h"

/* A tile is as many output rows as are worth a product of their own. */
int blas_tile_count(const struct conv_kernel *self, const struct conv_shape *shape, int images);

/* Calls `run` for each tile of the call, with its output rows, [begin, end) over all images. A tile
 * is always a product of its own, whoever runs how many of them: OpenBLAS rounds a row of a product
 * in another way if there are more of them, and a pass must not depend on who helps. */
typedef void blas_run_tile(const struct conv_call *call, int begin, int end);
void blas_run_tiles(const struct conv_call *call, blas_run_tile *run);

/* The most pixels of a tile. */
size_t blas_tile_pixels(const struct conv_shape *shape);

/* y[pixels][channels] = bias + residual (NULL: none): what a product with beta = 1 adds to. */
void blas_prepare(float *y, const float *bias, const float *residual, size_t pixels,
                  size_t channels);

/* y = max(y, 0). */
void blas_relu(float *y, size_t count);

/* out[columns][rows] = in[rows][columns] turned; `in_ld` and `out_ld` are the distances of rows. */
void blas_transpose(const float *in, size_t rows, size_t columns, size_t in_ld, float *out,
                    size_t out_ld);

/* c[m][n] += a[m][k] b[k][n], row-major. */
void blas_multiply_add(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b,
                       size_t ldb, float *c, size_t ldc);

/* c[m][n] = (add ? c[m][n] : 0) + the sum over k of a[k][m] b[k][n]; `ldb` and `ldc` are the
 * distances of rows. */
void blas_multiply(size_t m, size_t n, size_t k, const float *a, const float *b, size_t ldb,
                   bool add, float *c, size_t ldc);

#endif
