/* A model folder in memory: network, pixels it wants, labels. Immutable after loading; any thread.
 */
#ifndef RESNEXT_MODEL_MODEL_H
#define RESNEXT_MODEL_MODEL_H

#include <stdint.h>

#include "base/error.h"
#include "image/preprocess.h"
#include "model/template.h"
#include "nn/network.h"

enum { MODEL_SHA256_TEXT = 65 };

struct model {
    char *path; /* of the folder, as given */
    char template_name[TEMPLATE_NAME_MAX];
    struct template template;
    struct preprocess_spec preprocess;
    int classes;
    char **labels; /* [classes] UTF-8, never NULL */
    struct network *network;
    int64_t parameters;             /* as PyTorch counts them */
    int64_t multiply_adds;          /* of one image */
    const char *precision;          /* "f32" */
    char sha256[MODEL_SHA256_TEXT]; /* of model.safetensors, lower-case hexadecimal */
};

/* Loads PATH/model.safetensors and PATH/config.json: checks every tensor, folds batch norm, packs
 * weights. ERR_MODEL_INVALID, ERR_MODEL_UNSUPPORTED (the message names the tensor or key), ERR_IO,
 * ERR_NO_MEMORY. `*out` belongs to the caller. */
int model_load(struct model **out, const char *path, struct kernel_ladder ladder,
               struct error *err);
void model_destroy(struct model *model);

/* Compares the network's convolutions on this machine with plain loops in double, layer shape by
 * layer shape, on a few output pixels each. ERR_INTERNAL names the first layer that is off. */
int model_self_test(const struct model *model, struct error *err);

struct prediction {
    int class_id;
    float score; /* softmax probability */
};

/* The k (1..classes) likeliest classes, best first; ties go to the lower class id. */
void model_top_k(const float *logits, int classes, int k, struct prediction *out);

#endif
