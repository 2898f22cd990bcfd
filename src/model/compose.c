#include "model/compose.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* A tile of the product: ROWS rows of `own` times COLUMNS columns of z's weights. DEPTH products
 * are added up in float32, and these sums in double. */
enum { ROWS = 16, COLUMNS = 64, DEPTH = 16, STEP = 4 };

struct tile {
    double sum[ROWS][COLUMNS];
    float part[ROWS][COLUMNS];
    float strip[STEP][COLUMNS]; /* of z's weights; 0 behind the last column and channel */
    float factor[ROWS][STEP];   /* of `own`; 0 behind the last row and channel */
};

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* part += factor * strip. */
static void add_products(struct tile *tile)
{
    for (int r = 0; r < ROWS; r++) {
        const float *f = tile->factor[r];
        for (int c = 0; c < COLUMNS; c++)
            tile->part[r][c] += (f[0] * tile->strip[0][c] + f[1] * tile->strip[1][c]) +
                                (f[2] * tile->strip[2][c] + f[3] * tile->strip[3][c]);
    }
}

static void add_part(struct tile *tile)
{
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLUMNS; c++)
            tile->sum[r][c] += (double)tile->part[r][c];
    memset(tile->part, 0, sizeof tile->part);
}

/* Loads STEP channels of z from `channel`, for columns from `column` and rows from `row`. */
static void load(struct tile *tile, const struct affine *z, const float *own, int rows, int row,
                 int column, int channel)
{
    size_t width = (size_t)z->in_c * (size_t)z->taps;
    size_t columns = (size_t)least(COLUMNS, (int)width - column);
    int depth = least(STEP, z->channels - channel);
    for (int i = 0; i < depth; i++)
        memcpy(tile->strip[i], z->weights + (size_t)(channel + i) * width + column,
               columns * sizeof(float));
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < STEP; i++)
            tile->factor[r][i] =
                row + r < rows && i < depth
                    ? own[(size_t)(row + r) * (size_t)z->channels + (size_t)(channel + i)]
                    : 0;
}

static int not_finite(int row, struct error *err)
{
    return error_set(err, ERR_MODEL_INVALID,
                     "channel %d is out of float32's range once the convolution before it is "
                     "multiplied in",
                     row);
}

/* Column in_c * taps of z is tap * in_c of the result. */
static int store(const struct affine *z, int row, int column, double value, float *out,
                 struct error *err)
{
    size_t width = (size_t)z->in_c * (size_t)z->taps;
    size_t at = (size_t)(column % z->taps) * (size_t)z->in_c + (size_t)(column / z->taps);
    out[(size_t)row * width + at] = (float)value;
    return fabs(value) <= (double)FLT_MAX ? ERR_OK : not_finite(row, err);
}

static int compose_tile(const struct affine *z, const float *own, int rows, int row, int column,
                        float *out, struct error *err)
{
    struct tile tile = {0};
    int code = ERR_OK, width = z->in_c * z->taps;
    for (int channel = 0; channel < z->channels; channel += STEP) {
        load(&tile, z, own, rows, row, column, channel);
        add_products(&tile);
        if ((channel / STEP + 1) % (DEPTH / STEP) == 0)
            add_part(&tile);
    }
    add_part(&tile);
    for (int r = 0; r < least(ROWS, rows - row); r++)
        for (int c = 0; code == ERR_OK && c < least(COLUMNS, width - column); c++)
            code = store(z, row + r, column + c, tile.sum[r][c], out, err);
    return code;
}

static int compose_bias(const struct affine *z, const float *own, int rows, float *bias,
                        struct error *err)
{
    for (int r = 0; r < rows; r++) {
        double sum = (double)bias[r];
        for (int i = 0; i < z->channels; i++)
            sum += (double)*own++ * (double)z->bias[i];
        if (!(fabs(sum) <= (double)FLT_MAX))
            return not_finite(r, err);
        bias[r] = (float)sum;
    }
    return ERR_OK;
}

int compose_dense(const struct affine *z, const float *own, int rows, float *out, float *bias,
                  struct error *err)
{
    int code = compose_bias(z, own, rows, bias, err);
    for (int column = 0; column < z->in_c * z->taps; column += COLUMNS)
        for (int row = 0; code == ERR_OK && row < rows; row += ROWS)
            code = compose_tile(z, own, rows, row, column, out, err);
    return code;
}

/* The sum of own[i] * values[(row + i - kernel / 2) * stride] over the neighbours that exist. */
static double over_neighbours(const struct affine *z, const float *own, int kernel, int row,
                              const float *values, size_t stride)
{
    double sum = 0;
    for (int i = 0; i < kernel; i++) {
        int channel = row + i - kernel / 2;
        if (channel >= 0 && channel < z->channels)
            sum += (double)own[i] * (double)values[(size_t)channel * stride];
    }
    return sum;
}

int compose_band(const struct affine *z, const float *own, int kernel, float *out, float *bias,
                 struct error *err)
{
    int code = ERR_OK, width = z->in_c * z->taps;
    for (int row = 0; code == ERR_OK && row < z->channels; row++) {
        bias[row] = (float)over_neighbours(z, own, kernel, row, z->bias, 1);
        if (!isfinite(bias[row]))
            return not_finite(row, err);
        for (int c = 0; code == ERR_OK && c < width; c++)
            code = store(z, row, c,
                         over_neighbours(z, own, kernel, row, z->weights + c, (size_t)width), out,
                         err);
    }
    return code;
}
