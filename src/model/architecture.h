/* What config.json says about a network's variant: by its name, by the arguments that it was made
 * with, and by other keys that change the computation. */
#ifndef RESNEXT_MODEL_ARCHITECTURE_H
#define RESNEXT_MODEL_ARCHITECTURE_H

#include <jansson.h>

#include "base/error.h"
#include "model/template.h"

enum architecture_fact {
    FACT_DEEP_STEM, /* 0 or 1 */
    FACT_STEM_POOL, /* enum stem_pool */
    FACT_DOWN,      /* enum down_kind */
    FACT_ATTENTION, /* enum attention */
    FACT_ANTIALIAS, /* enum antialias */
    FACT_HARD_SIGMOID,
    FACT_STRIDE_FIRST,
    FACT_COUNT,
};

/* Zeros: the file says nothing. */
struct architecture {
    char name[TEMPLATE_NAME_MAX]; /* without author and tag */
    struct said {
        const char *key; /* that says it; NULL if none does */
        int value;
    } facts[FACT_COUNT];
};

/* Reads architecture, model_args and the other keys that change the computation, at the root and in
 * `picture` (pretrained_cfg, or the root again). Arguments override the name. Every key may be
 * absent. ERR_MODEL_UNSUPPORTED (the message names the key or value that is not served),
 * ERR_MODEL_INVALID, ERR_NO_MEMORY. */
int architecture_read(struct architecture *out, const json_t *root, const json_t *picture,
                      struct error *err);

/* Whether the file says whether the network filters before it strides, which no tensor shows. */
bool architecture_says_antialias(const struct architecture *said);

/* Completes a template that was read from tensors with what these do not show. ERR_MODEL_INVALID if
 * what they show is not what the file says. */
int architecture_apply(const struct architecture *said, struct template *t, struct error *err);

#endif
