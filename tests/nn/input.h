/* A network's input, made up. */
#ifndef RESNEXT_TESTS_NN_INPUT_H
#define RESNEXT_TESTS_NN_INPUT_H

#include <math.h>

#include "kernel/element.h"
#include "tests/random.h"

/* Numbers of -1..1 as the input of a network; bytes have the scale 8/255 and the zero 128. */
static inline void input_fill(enum precision precision, void *input, int count)
{
    uint64_t seed = 11;
    for (int i = 0; i < count; i++) {
        float value;
        random_floats(&seed, &value, 1);
        if (precision == PRECISION_F32)
            ((float *)input)[i] = value;
        else if (precision == PRECISION_BF16)
            ((uint16_t *)input)[i] = bf16_from_f32(value);
        else
            ((uint8_t *)input)[i] = (uint8_t)lrintf(value * 255 / 8 + 128);
    }
}

#endif
