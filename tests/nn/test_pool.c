#include "nn/pool.h"

#include <math.h>

#include "tests/random.h"
#include "tests/suite.h"

enum { CHANNELS = 19 };

static float maximum(const struct conv_shape *s, const float *x, int image, int oy, int ox, int c)
{
    float best = -INFINITY;
    for (int ky = 0; ky < s->kernel; ky++)
        for (int kx = 0; kx < s->kernel; kx++) {
            int y = oy * s->stride - s->pad + ky, column = ox * s->stride - s->pad + kx;
            if (y < 0 || column < 0 || y >= s->in_h || column >= s->in_w)
                continue;
            best = fmaxf(best, x[((image * s->in_h + y) * s->in_w + column) * CHANNELS + c]);
        }
    return best;
}

START_TEST(max_equals_plain_loops)
{
    const struct conv_shape s = {11, 8, CHANNELS, 6, 4, CHANNELS, 3, 2, 1, 1};
    static float x[2 * 11 * 8 * CHANNELS], y[2 * 6 * 4 * CHANNELS];
    uint64_t seed = 7;
    random_floats(&seed, x, sizeof x / sizeof x[0]);
    for (size_t i = 0; i < sizeof x / sizeof x[0]; i++)
        x[i] -= 2; /* all negative: padding with 0 would win */
    pool_max(&s, 2, x, y);
    for (int image = 0; image < 2; image++)
        for (int oy = 0; oy < 6; oy++)
            for (int ox = 0; ox < 4; ox++)
                for (int c = 0; c < CHANNELS; c++)
                    ck_assert_float_eq(y[((image * 6 + oy) * 4 + ox) * CHANNELS + c],
                                       maximum(&s, x, image, oy, ox, c));
}
END_TEST

START_TEST(average_equals_the_mean)
{
    const struct conv_shape s = {7, 5, CHANNELS, 1, 1, CHANNELS, 7, 1, 0, 1};
    static float x[3 * 35 * CHANNELS], y[3 * CHANNELS];
    uint64_t seed = 9;
    random_floats(&seed, x, sizeof x / sizeof x[0]);
    pool_average(&s, 3, x, y);
    for (int image = 0; image < 3; image++)
        for (int c = 0; c < CHANNELS; c++) {
            double sum = 0;
            for (int p = 0; p < 35; p++)
                sum += (double)x[(image * 35 + p) * CHANNELS + c];
            ck_assert_double_eq_tol((double)y[image * CHANNELS + c], sum / 35, 1e-6);
        }
}
END_TEST

TEST_MAIN("nn/pool", 10, max_equals_plain_loops, average_equals_the_mean)
