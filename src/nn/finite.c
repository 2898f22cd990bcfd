#include "nn/finite.h"

#include <math.h>

int finite_check(const float *numbers, size_t count, const char *what, struct error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(numbers[i]))
            return error_set(err, ERR_NOT_FINITE,
                             "the network's %s are not finite: number %zu is %s; its weights, or "
                             "the numbers it was given, are too large for its precision",
                             what, i, isnan(numbers[i]) ? "NaN" : "infinite");
    return ERR_OK;
}
