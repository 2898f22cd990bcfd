/* What the OpenBLAS kernels share: how many pixels to work on at once, and what surrounds a
 * product. */
#ifndef RESNEXT_KERNEL_OPENBLAS_COMMON_H
#define RESNEXT_KERNEL_OPENBLAS_COMMON_H

#include "kernel/kernel.h"

/* Output pixels of [row_begin, row_end) as a range [begin, end) over all images. */
struct pixel_range {
    size_t begin, end;
};
struct pixel_range blas_pixels(const struct conv_call *call);

/* How many pixels of `floats_per_pixel` make a block that stays in L2; at least `least`, so that a
 * product is worth the packing of its weights. */
size_t blas_block_pixels(size_t floats_per_pixel, size_t least);

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

#endif
