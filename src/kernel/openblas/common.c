#include "kernel/openblas/common.h"

#include <cblas.h>
#include <string.h>

/* Fewer pixels a product, and packing the weights costs more than staying in L2 saves. */
enum { TILE_PIXELS = 392 };

static int tile_rows(const struct conv_shape *s)
{
    int rows = (TILE_PIXELS + s->out_w - 1) / s->out_w;
    return rows < s->out_h ? rows : s->out_h;
}

int blas_tile_count(const struct conv_kernel *self, const struct conv_shape *s, int images)
{
    (void)self;
    int rows = tile_rows(s);
    return (images * s->out_h + rows - 1) / rows;
}

void blas_run_tiles(const struct conv_call *call, blas_run_tile *run)
{
    const struct conv_shape *s = call->shape;
    int rows = tile_rows(s), all = call->images * s->out_h;
    for (int begin = call->tile_begin * rows; begin < call->tile_end * rows; begin += rows)
        run(call, begin, begin + rows < all ? begin + rows : all);
}

size_t blas_tile_pixels(const struct conv_shape *s)
{
    return (size_t)tile_rows(s) * (size_t)s->out_w;
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

typedef float vector4 __attribute__((vector_size(16), aligned(4)));

static void transpose_4x4(const float *in, size_t in_ld, float *out, size_t out_ld)
{
    vector4 a = *(const vector4 *)in, b = *(const vector4 *)(in + in_ld);
    vector4 c = *(const vector4 *)(in + 2 * in_ld), d = *(const vector4 *)(in + 3 * in_ld);
    vector4 ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
    vector4 ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    vector4 cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    vector4 cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *(vector4 *)out = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
    *(vector4 *)(out + out_ld) = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    *(vector4 *)(out + 2 * out_ld) = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    *(vector4 *)(out + 3 * out_ld) = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}

static void transpose_plainly(const float *in, size_t rows, size_t columns, size_t in_ld,
                              float *out, size_t out_ld)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            out[c * out_ld + r] = in[r * in_ld + c];
}

void blas_transpose(const float *in, size_t rows, size_t columns, size_t in_ld, float *out,
                    size_t out_ld)
{
    size_t whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
    for (size_t c = 0; c < whole_columns; c += 4)
        for (size_t r = 0; r < whole_rows; r += 4)
            transpose_4x4(in + r * in_ld + c, in_ld, out + c * out_ld + r, out_ld);
    transpose_plainly(in + whole_rows * in_ld, rows - whole_rows, whole_columns, in_ld,
                      out + whole_rows, out_ld);
    transpose_plainly(in + whole_columns, rows, columns - whole_columns, in_ld,
                      out + whole_columns * out_ld, out_ld);
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

void blas_multiply(size_t m, size_t n, size_t k, const float *a, const float *b, size_t ldb,
                   bool add, float *c, size_t ldc)
{
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1, a,
                (blasint)m, b, (blasint)ldb, add ? 1 : 0, c, (blasint)ldc);
}
