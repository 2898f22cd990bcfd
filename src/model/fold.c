#include "model/fold.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>

static const double epsilon = 1e-5;

int fold_batch_norm(const struct batch_norm *norm, size_t channels, size_t each, float *weights,
                    float *bias, struct error *err)
{
    for (size_t c = 0; c < channels; c++) {
        if (norm->variance[c] < 0)
            return error_set(err, ERR_MODEL_INVALID, "running_var is negative at index %zu", c);
        double scale = norm->weight[c] / sqrt(norm->variance[c] + epsilon);
        float *row = weights + c * each;
        bool fits = true;
        bias[c] = (float)(norm->bias[c] - norm->mean[c] * scale);
        for (size_t i = 0; i < each; i++) {
            row[i] = (float)(row[i] * scale);
            fits &= fabsf(row[i]) <= FLT_MAX;
        }
        if (!isfinite(bias[c]) || !fits)
            return error_set(err, ERR_MODEL_INVALID,
                             "channel %zu is out of float32's range once batch norm is folded in",
                             c);
    }
    return ERR_OK;
}
