#include "model/fold.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "tests/suite.h"

START_TEST(folding_equals_convolution_then_batch_norm)
{
    const float gamma[] = {1.5F, -0.5F}, beta[] = {0.25F, -2}, mean[] = {0.75F, -3};
    const float variance[] = {4, 0};
    float weights[] = {1, -2, 3, 0.5F, 0.25F, -1}, bias[2];
    const float before[] = {1, -2, 3, 0.5F, 0.25F, -1}, x[] = {0.3F, -0.7F, 1.1F};
    const struct batch_norm norm = {gamma, beta, mean, variance};
    ck_assert_int_eq(fold_batch_norm(&norm, 2, 3, weights, bias, NULL), ERR_OK);
    for (int c = 0; c < 2; c++) {
        double conv = 0, folded = bias[c];
        for (int i = 0; i < 3; i++) {
            conv += (double)before[c * 3 + i] * x[i];
            folded += (double)weights[c * 3 + i] * x[i];
        }
        double expected = (conv - mean[c]) / sqrt(variance[c] + 1e-5) * gamma[c] + beta[c];
        ck_assert_double_eq_tol(folded, expected, 1e-6 * fabs(expected));
    }
}
END_TEST

static int fold_one(float weight, float gamma, float beta, float mean, float variance,
                    struct error *err)
{
    float bias;
    const struct batch_norm norm = {&gamma, &beta, &mean, &variance};
    return fold_batch_norm(&norm, 1, 1, &weight, &bias, err);
}

START_TEST(what_cannot_be_folded_is_refused)
{
    struct error err;
    ck_assert_int_eq(fold_one(1, 1, 0, 0, -1e-6F, &err), ERR_MODEL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "running_var is negative at index 0"));
    ck_assert_int_eq(fold_one(FLT_MAX, 2, 0, 0, 1, &err), ERR_MODEL_INVALID);
    ck_assert_ptr_nonnull(strstr(err.message, "out of float32's range"));
    ck_assert_int_eq(fold_one(0, 2, 0, FLT_MAX, 1, &err), ERR_MODEL_INVALID);
    ck_assert_int_eq(fold_one(-FLT_MAX, 1, 0, 0, 1, &err), ERR_OK);
}
END_TEST

TEST_MAIN("model/fold", 10, folding_equals_convolution_then_batch_norm,
          what_cannot_be_folded_is_refused)
