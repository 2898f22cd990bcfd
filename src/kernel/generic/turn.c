#include "kernel/lanes.h"

enum { LANES = 4 };
typedef float turn_vector __attribute__((vector_size(16)));

LANES_INLINE turn_vector turn_load(const float *const *rows, size_t column)
{
    turn_vector v;
    __builtin_memcpy(&v, rows[0] + column, sizeof v);
    return v;
}
#define turn_low(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define turn_high(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define turn_low_pairs(a, b) __builtin_shufflevector(a, b, 0, 1, 4, 5)
#define turn_high_pairs(a, b) __builtin_shufflevector(a, b, 2, 3, 6, 7)

#include "kernel/openblas/turn.h"

const struct conv_kernel f32_grouped__openblas = {.name="f32_grouped__openblas",.isa="openblas",.own=&turn,BLAS_GROUPED_FUNCTIONS};
