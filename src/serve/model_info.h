/* Facts about a model that is served. */
#ifndef RESNEXT_SERVE_MODEL_INFO_H
#define RESNEXT_SERVE_MODEL_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/cascade.h"
#include "nn/summary.h"

struct model_info {
    const char *name, *path, *template_name, *precision, *sha256;
    const char *activation;   /* "softmax" or "sigmoid" */
    const char *label_source; /* see label_source_name */
    int classes, input_size;
    int resize_size; /* the short edge before the crop to input_size; both edges if it squashes */
    int64_t parameters, multiply_adds;
    bool squashes, is_default;
    struct network_summary kernels;
    struct cascade cascade;
    size_t metric; /* its index in the metrics' dimension MODEL */
};

#endif
