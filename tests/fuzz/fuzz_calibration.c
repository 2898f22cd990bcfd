/* A calibration.json with any content, for a network with every kind of layer. */
#include <stdint.h>

#include "model/calibration.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define KERNELS(in, out, side) {.in_c = (in), .out_c = (out), .kernel = (side), .groups = 1}

static const struct layer layers[] = {
    {.kind = LAYER_CONV, .name = "conv1", .shape = KERNELS(3, 2, 1), .relu = true},
    {.kind = LAYER_MAX_POOL, .shape = {.out_c = 2}},
    {.kind = LAYER_CONV, .name = "layer1.0.conv1", .shape = KERNELS(2, 3, 2)},
    {.kind = LAYER_GLOBAL_POOL, .shape = {.out_c = 3}},
    {.kind = LAYER_LINEAR, .name = "fc", .shape = KERNELS(3, 5, 1)},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct calibration calibration;
    struct error err;
    if (calibration_parse(&calibration, layers, sizeof layers / sizeof layers[0],
                          (const char *)data, size, &err) == ERR_OK)
        calibration_destroy(&calibration);
    return 0;
}
