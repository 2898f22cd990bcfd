/* Real feature maps, and single blocks, out of the way that the program itself computes. */
#ifndef RESNEXT_TESTS_NN_PRODUCTION_H
#define RESNEXT_TESTS_NN_PRODUCTION_H

#include "model/model.h"
#include "model/safetensors.h"

enum { CUT_MAX_LAYERS = 4 };

/* A model, its weights, and a picture as its network sees it. */
struct source {
    struct template template;
    struct layer *layers;
    size_t count;
    struct safetensors *file;
    struct preprocess_spec preprocess;
    float *input; /* [size][size][3] */
};

/* A model folder, with the picture tests/data/pictures/PICTURE. */
void source_open(struct source *source, const char *folder, const char *picture);

/* A model that `resnext init` would make of this template. */
void source_init(struct source *source, const char *template, uint64_t seed, const char *picture);

/* Puts another picture in the place of the first. */
void source_show(struct source *source, const char *picture);
void source_close(struct source *source);

/* The number of the layer of this name. */
size_t source_find(const struct source *source, const char *name);

/* Value `v` (0: the picture; else what layer v - 1 makes of it) as the network computes it. The
 * caller frees it. */
float *source_value(const struct source *source, size_t v);

/* Layers that follow each other and read nothing before value `input` but that, with their weights
 * as they are packed: batch norm folded in. */
struct cut {
    struct layer layers[CUT_MAX_LAYERS];
    float *weights[CUT_MAX_LAYERS], *bias[CUT_MAX_LAYERS];
    size_t count, input;
};
void cut_layers(struct cut *cut, const struct source *source, size_t first, size_t count);

/* The block PREFIX ("layer1.0"). */
void cut_block(struct cut *cut, const struct source *source, const char *prefix);
void cut_destroy(struct cut *cut);

/* What the cut makes of x, on the ISAs up to `isa`. The caller frees it. */
float *cut_run(const struct cut *cut, const char *isa, const float *x);

#endif
