/* How well scores rank the pictures that show a class before those that do not. */
#ifndef RESNEXT_TOOL_AVERAGE_PRECISION_H
#define RESNEXT_TOOL_AVERAGE_PRECISION_H

#include <stdbool.h>
#include <stddef.h>

struct scored {
    float score; /* not NaN */
    bool positive;
};

/* The sum over thresholds of (recall - recall before) * precision, pictures of one score falling
 * under one threshold, as scikit-learn's average_precision_score has it. Sorts `pictures`. NaN if
 * none is positive. */
double average_precision(struct scored *pictures, size_t count);

#endif
