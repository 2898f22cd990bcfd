/* nn/rounding.c against plain loops: the nearest plane without blocks, and all combinations. */
#include "nn/rounding.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "tests/random.h"
#include "tests/suite.h"

enum { MOST = 150, OUTPUTS = 5 };
static const double damping = 1e-2;

static float one(uint64_t *state)
{
    float value;
    random_floats(state, &value, 1);
    return value;
}

/* The covariance of n inputs that have a few things in common, of `rows` samples; both triangles.
 */
static void make_covariance(uint64_t seed, size_t n, size_t rows, double *c)
{
    enum { COMMON = 3 };
    static double x[400][MOST], mean[MOST], loads[COMMON][MOST];
    for (size_t f = 0; f < COMMON; f++)
        for (size_t i = 0; i < n; i++)
            loads[f][i] = one(&seed);
    memset(mean, 0, sizeof mean);
    for (size_t r = 0; r < rows; r++) {
        double common[COMMON];
        for (size_t f = 0; f < COMMON; f++)
            common[f] = 100 * (double)one(&seed);
        for (size_t i = 0; i < n; i++) {
            x[r][i] = 10 * (double)one(&seed) * (double)(i % 7);
            for (size_t f = 0; f < COMMON; f++)
                x[r][i] += loads[f][i] * common[f];
            x[r][i] = i % 11 == 5 ? 0 : rint(x[r][i]); /* some are dead */
            mean[i] += x[r][i] / (double)rows;
        }
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t r = 0; r < rows; r++)
                sum += (x[r][i] - mean[i]) * (x[r][j] - mean[j]);
            c[i * n + j] = sum / (double)rows;
        }
}

static void damp(double *c, size_t n)
{
    double mean = 0;
    for (size_t i = 0; i < n; i++)
        mean += c[i * n + i] / (double)n;
    for (size_t i = 0; i < n; i++)
        c[i * n + i] += damping * mean + 1e-38;
}

/* e^T c e of the errors that the bits make. */
static double loss(const double *c, size_t n, const double *exact, const bool *up)
{
    double sum = 0, e[MOST];
    for (size_t i = 0; i < n; i++)
        e[i] = exact[i] - floor(exact[i]) - up[i];
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            sum += e[i] * c[i * n + j] * e[j];
    return sum;
}

static void nearest(size_t n, const double *exact, bool *up)
{
    for (size_t i = 0; i < n; i++)
        up[i] = exact[i] - floor(exact[i]) > 0.5;
}

static void choose(const double *c, size_t n, const double *exact, size_t outputs, bool *up)
{
    static double copy[MOST * MOST];
    uint8_t bits[MOST * OUTPUTS / 8 + 2] = {0};
    const size_t first = 3;
    memcpy(copy, c, n * n * sizeof *c);
    for (size_t i = 0; i < n; i++) /* only the upper triangle counts */
        for (size_t j = 0; j < i; j++)
            copy[i * n + j] = NAN;
    ck_assert_int_eq(rounding_choose(copy, n, exact, outputs, bits, first, NULL), ERR_OK);
    for (size_t i = 0; i < n * outputs; i++)
        up[i] = bits[(first + i) / 8] >> (first + i) % 8 & 1;
    ck_assert_int_eq(bits[0] & 7, 0);
    for (size_t i = first + n * outputs; i < 8 * sizeof bits; i++)
        ck_assert(!(bits[i / 8] >> i % 8 & 1));
}

static void make_weights(uint64_t seed, size_t count, double *exact)
{
    for (size_t i = 0; i < count; i++)
        exact[i] = 40 * (double)one(&seed);
}

/* The same without blocks and without a Cholesky decomposition: inputs that are left are those
 * whose weights are free; given the errors of the others, the best real weights of the free ones
 * are known by elimination. Rounds the strongest of the free inputs to the nearest plane. */
static void nearest_plane(const double *covariance, size_t n, const double *exact, bool *up)
{
    static double c[MOST * MOST], rest[MOST * MOST];
    double errors[MOST];
    bool fixed[MOST] = {false};
    memcpy(c, covariance, n * n * sizeof *c);
    damp(c, n);
    for (size_t turn = 0; turn < n; turn++) {
        size_t i = n;
        for (size_t j = 0; j < n; j++)
            if (!fixed[j] && (i == n || covariance[j * n + j] >= covariance[i * n + i]))
                i = j;
        /* Eliminate all other free inputs; what remains couples i to the fixed ones. */
        memcpy(rest, c, n * n * sizeof *c);
        for (size_t p = 0; p < n; p++) {
            if (fixed[p] || p == i)
                continue;
            for (size_t a = 0; a < n; a++) {
                double factor = rest[a * n + p] / rest[p * n + p];
                if (a != p && (fixed[a] || a == i))
                    for (size_t b = 0; b < n; b++)
                        rest[a * n + b] -= factor * rest[p * n + b];
                else if (a > p && !fixed[a])
                    for (size_t b = 0; b < n; b++)
                        rest[a * n + b] -= factor * rest[p * n + b];
            }
        }
        double target = exact[i];
        for (size_t j = 0; j < n; j++)
            if (fixed[j])
                target += rest[i * n + j] / rest[i * n + i] * errors[j];
        up[i] = rint(target) > floor(exact[i]);
        errors[i] = exact[i] - floor(exact[i]) - up[i];
        fixed[i] = true;
    }
}

START_TEST(the_choice_is_the_nearest_plane)
{
    static double c[MOST * MOST], exact[MOST * OUTPUTS];
    static bool up[MOST * OUTPUTS], right[MOST];
    static const size_t sizes[] = {1, 2, 9, 64, 65, 150};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        size_t n = sizes[s], different = 0;
        make_covariance(s + 1, n, 300, c);
        make_weights(s + 7, n * OUTPUTS, exact);
        choose(c, n, exact, OUTPUTS, up);
        for (size_t o = 0; o < OUTPUTS; o++) {
            nearest_plane(c, n, exact + o * n, right);
            for (size_t i = 0; i < n; i++)
                different += right[i] != up[o * n + i];
        }
        ck_assert_msg(different == 0, "%zu of %zu bits differ", different, n * OUTPUTS);
    }
}
END_TEST

START_TEST(the_loss_is_below_that_of_the_nearest)
{
    static double c[MOST * MOST], exact[MOST * OUTPUTS];
    static bool up[MOST * OUTPUTS], near[MOST];
    for (uint64_t seed = 1; seed <= 10; seed++) {
        size_t n = MOST, rows = seed % 2 ? 300 : 20; /* 20: rank deficient */
        double chosen = 0, plain = 0;
        make_covariance(seed, n, rows, c);
        make_weights(seed + 50, n * OUTPUTS, exact);
        choose(c, n, exact, OUTPUTS, up);
        damp(c, n);
        for (size_t o = 0; o < OUTPUTS; o++) {
            nearest(n, exact + o * n, near);
            chosen += loss(c, n, exact + o * n, up + o * n);
            plain += loss(c, n, exact + o * n, near);
        }
        ck_assert_double_lt(chosen, 0.5 * plain);
    }
}
END_TEST

/* The least loss of all combinations. */
static double least_loss(const double *c, size_t n, const double *exact)
{
    double least = INFINITY;
    for (unsigned word = 0; word < 1U << n; word++) {
        bool up[MOST];
        for (size_t i = 0; i < n; i++)
            up[i] = word >> i & 1;
        least = fmin(least, loss(c, n, exact, up));
    }
    return least;
}

START_TEST(small_choices_are_near_the_best)
{
    enum { N = 8, CASES = 40 };
    double c[N * N], exact[N], chosen = 0, best = 0, plain = 0;
    for (uint64_t seed = 1; seed <= CASES; seed++) {
        bool up[N], near[N];
        make_covariance(seed, N, 100, c);
        make_weights(seed + 90, N, exact);
        choose(c, N, exact, 1, up);
        damp(c, N);
        nearest(N, exact, near);
        double least = least_loss(c, N, exact);
        ck_assert_double_ge(loss(c, N, exact, up), least - 1e-9);
        chosen += loss(c, N, exact, up);
        plain += loss(c, N, exact, near);
        best += least;
    }
    ck_assert_double_lt(best, chosen + 1e-9);
    ck_assert_double_lt(chosen - best, 0.25 * (plain - best));
}
END_TEST

START_TEST(without_a_decomposition_the_nearest_is_taken)
{
    enum { N = 20 };
    double c[N * N] = {0}, exact[N * OUTPUTS];
    bool up[N * OUTPUTS], near[N * OUTPUTS];
    make_weights(3, N * OUTPUTS, exact);
    nearest(N * OUTPUTS, exact, near);
    choose(c, N, exact, OUTPUTS, up); /* all inputs are dead */
    ck_assert_mem_eq(up, near, sizeof up);
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++)
            c[i * N + j] = i == j ? 1 : 5; /* of no inputs: not positive definite */
    choose(c, N, exact, OUTPUTS, up);
    ck_assert_mem_eq(up, near, sizeof up);
    for (size_t i = 0; i < N; i++)
        c[i * N + i] = NAN;
    choose(c, N, exact, OUTPUTS, up);
    ck_assert_mem_eq(up, near, sizeof up);
}
END_TEST

START_TEST(weights_at_the_ends_stay_inside)
{
    enum { N = 4 };
    const double c[N * N] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
    const double exact[N] = {127, 127.00001, -127, -127.00001};
    bool up[N];
    choose(c, N, exact, 1, up);
    ck_assert(!up[0] && !up[1] && !up[2] && up[3]);
}
END_TEST

TEST_MAIN("nn/rounding", 60, the_choice_is_the_nearest_plane, the_loss_is_below_that_of_the_nearest,
          small_choices_are_near_the_best, without_a_decomposition_the_nearest_is_taken,
          weights_at_the_ends_stay_inside)
