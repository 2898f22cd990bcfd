#include "kernel/openblas/common.h"

#include <cblas.h>
#include <string.h>

enum { L2_FLOATS = 128 * 1024 };

struct pixel_range blas_pixels(const struct conv_call *call)
{
    size_t width = (size_t)call->shape->out_w;
    return (struct pixel_range){(size_t)call->row_begin * width, (size_t)call->row_end * width};
}

size_t blas_block_pixels(size_t floats_per_pixel, size_t least)
{
    size_t pixels = L2_FLOATS / floats_per_pixel;
    return pixels < least ? least : pixels;
}

void blas_prepare(float *y, const float *bias, const float *residual, size_t pixels,
                  size_t channels)
{
    for (size_t i = 0; i < pixels; i++, y += channels) {
        if (!residual) {
            memcpy(y, bias, channels * sizeof *y);
            continue;
        }
        for (size_t c = 0; c < channels; c++)
            y[c] = residual[c] + bias[c];
        residual += channels;
    }
}

void blas_relu(float *y, size_t count)
{
    for (size_t i = 0; i < count; i++)
        y[i] = y[i] < 0 ? 0 : y[i];
}

void blas_multiply_add(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b,
                       size_t ldb, float *c, size_t ldc)
{
    if (m == 1)
        cblas_sgemv(CblasRowMajor, CblasTrans, (blasint)k, (blasint)n, 1, b, (blasint)ldb, a, 1, 1,
                    c, 1);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)m, (blasint)n, (blasint)k,
                    1, a, (blasint)lda, b, (blasint)ldb, 1, c, (blasint)ldc);
}

const char *kernel_blas_core(void)
{
    return openblas_get_corename();
}
