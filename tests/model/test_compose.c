#include "model/compose.h"

#include <float.h>
#include <math.h>

#include "tests/random.h"
#include "tests/suite.h"

enum { MOST = 32 * 1024 };

/* own (weights x + bias) + own_bias for one x, [taps][in_c], straight from the definition. */
static double expected(const struct affine *z, const float *own, double own_bias, const float *x)
{
    double sum = own_bias;
    for (int o = 0; o < z->channels; o++) {
        double value = (double)z->bias[o];
        for (int c = 0; c < z->in_c; c++)
            for (int tap = 0; tap < z->taps; tap++)
                value += (double)z->weights[(o * z->in_c + c) * z->taps + tap] *
                         (double)x[tap * z->in_c + c];
        sum += (double)own[o] * value;
    }
    return sum;
}

static double composed(const float *row, float bias, const float *x, int width)
{
    double sum = (double)bias;
    for (int i = 0; i < width; i++)
        sum += (double)row[i] * (double)x[i];
    return sum;
}

static void check_dense(int channels, int in_c, int taps, int rows)
{
    static float weights[MOST], bias[MOST], own[MOST], out[MOST], b[MOST], x[MOST];
    const struct affine z = {weights, bias, channels, in_c, taps};
    uint64_t seed = 7;
    int width = in_c * taps;
    ck_assert_int_le(channels * width, MOST);
    random_floats(&seed, weights, (size_t)(channels * width));
    random_floats(&seed, bias, (size_t)channels);
    random_floats(&seed, own, (size_t)(rows * channels));
    random_floats(&seed, b, (size_t)rows);
    random_floats(&seed, x, (size_t)width);
    float own_bias[64];
    for (int r = 0; r < rows; r++)
        own_bias[r] = b[r];
    ck_assert_int_eq(compose_dense(&z, own, rows, out, b, NULL), ERR_OK);
    for (int r = 0; r < rows; r++)
        ck_assert_double_eq_tol(composed(out + r * width, b[r], x, width),
                                expected(&z, own + r * channels, (double)own_bias[r], x),
                                1e-6 * sqrt(channels * width));
}

START_TEST(layers_one_after_the_other_equal_the_product)
{
    check_dense(1, 1, 1, 1);
    check_dense(64, 64, 1, 4);
    check_dense(67, 65, 1, 5);
    check_dense(37, 13, 9, 7);
    check_dense(256, 127, 1, 33);
}
END_TEST

START_TEST(a_band_equals_a_dense_matrix_of_it)
{
    enum { CHANNELS = 11, IN = 6, TAPS = 9, WIDTH = IN * TAPS, KERNEL = 5 };
    float weights[CHANNELS * WIDTH], bias[CHANNELS], band[KERNEL], dense[CHANNELS * CHANNELS] = {0};
    float a[CHANNELS * WIDTH], b[CHANNELS * WIDTH], a_bias[CHANNELS], b_bias[CHANNELS] = {0};
    const struct affine z = {weights, bias, CHANNELS, IN, TAPS};
    uint64_t seed = 3;
    random_floats(&seed, weights, CHANNELS * WIDTH);
    random_floats(&seed, bias, CHANNELS);
    random_floats(&seed, band, KERNEL);
    for (int row = 0; row < CHANNELS; row++)
        for (int i = 0; i < KERNEL; i++)
            if (row + i >= 2 && row + i - 2 < CHANNELS)
                dense[row * CHANNELS + row + i - 2] = band[i];
    ck_assert_int_eq(compose_band(&z, band, KERNEL, a, a_bias, NULL), ERR_OK);
    ck_assert_int_eq(compose_dense(&z, dense, CHANNELS, b, b_bias, NULL), ERR_OK);
    for (int i = 0; i < CHANNELS * WIDTH; i++)
        ck_assert_double_eq_tol((double)a[i], (double)b[i], 1e-6);
    for (int i = 0; i < CHANNELS; i++)
        ck_assert_double_eq_tol((double)a_bias[i], (double)b_bias[i], 1e-6);
}
END_TEST

START_TEST(what_float32_cannot_hold_is_refused)
{
    const float weights[2] = {FLT_MAX, FLT_MAX}, bias[1] = {1}, own[1] = {2}, one[1] = {1};
    const struct affine z = {weights, bias, 1, 2, 1};
    float out[2], b[1] = {0};
    struct error err;
    ck_assert_int_eq(compose_dense(&z, own, 1, out, b, &err), ERR_MODEL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "out of float32's range"));
    ck_assert_int_eq(compose_band(&z, own, 1, out, b, NULL), ERR_MODEL_INVALID);
    b[0] = 0;
    ck_assert_int_eq(compose_dense(&z, one, 1, out, b, NULL), ERR_OK);
    const struct affine biased = {bias, weights, 1, 1, 1};
    ck_assert_int_eq(compose_dense(&biased, own, 1, out, b, NULL), ERR_MODEL_INVALID);
}
END_TEST

TEST_MAIN("model/compose", 10, layers_one_after_the_other_equal_the_product,
          a_band_equals_a_dense_matrix_of_it, what_float32_cannot_hold_is_refused)
