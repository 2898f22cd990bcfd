/* Convolutions to check kernels with: shapes around the tile sizes of all kernels, random numbers,
 * and the results of plain loops. */
#ifndef RESNEXT_TESTS_KERNEL_CONV_CASE_H
#define RESNEXT_TESTS_KERNEL_CONV_CASE_H

#include "kernel/kernel.h"
#include "tests/kernel/guarded.h"

struct conv_case {
    int height, width, in_c, out_c, kernel, stride, groups, images;
};

/* All shapes; `*count` of them. Each has a padding of kernel / 2. */
const struct conv_case *conv_cases(size_t *count);

/* Whether it is one of the twenty that have three quarters of all products. */
bool conv_is_large(const struct conv_case *c);

/* Extreme numbers: in int8 the largest sums and factors, in the other precisions a channel of NaN
 * and a gate of NaN. */
enum conv_numbers { NUMBERS_USUAL, NUMBERS_EXTREME };

struct conv_data {
    struct conv_shape shape;
    enum precision precision;
    int images;
    size_t in, out;                   /* elements of x and y */
    struct guarded x, residual, gate; /* gate: floats, [images][out_c] */
    struct conv_weights weights;
    double *sum, *magnitude; /* of the products, and of their absolute values; [out] */
};

void conv_data_create(struct conv_data *data, const struct conv_case *c, enum precision precision,
                      enum conv_numbers numbers, uint64_t seed);
void conv_data_destroy(struct conv_data *data);

/* Element `at` of a buffer as a number. */
double conv_element(enum precision precision, const void *from, size_t at);

#endif
