#include "nn/finite.h"

#include <math.h>

size_t first_not_finite(const float *numbers, size_t count)
{
    size_t i = 0;
    while (i < count && isfinite(numbers[i]))
        i++;
    return i;
}

int finite_check(const float *numbers, size_t count, const char *what, struct error *err)
{
    size_t i = first_not_finite(numbers, count);
    if (i == count)
        return ERR_OK;
    return error_set(err, ERR_NOT_FINITE,
                     "the network's %s are not finite: number %zu is %s; its weights, or "
                     "the numbers it was given, are too large for its precision",
                     what, i, isnan(numbers[i]) ? "NaN" : "infinite");
}
