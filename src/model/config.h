/* config.json as timm and transformers write it: the architecture, the preprocessing and the names
 * of the classes. The keys of the preprocessing are in "pretrained_cfg" or at the root; a key that
 * is in both has the same value. If there are none, preprocessor_config.json has the preprocessing.
 * Keys that change nothing are ignored. */
#ifndef RESNEXT_MODEL_CONFIG_H
#define RESNEXT_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "model/activation.h"
#include "model/architecture.h"
#include "model/labels.h"
#include "model/picture_values.h"

enum { MODEL_CONFIG_FILE_MAX = 16 << 20 };

struct model_config {
    int classes; /* 0 if the file does not say */
    struct architecture architecture;
    struct preprocess_spec preprocess;
    bool activation_is_known; /* the file says which */
    enum activation activation;
    struct label_list labels;  /* count 0 if the file has none */
    bool labels_may_end_early; /* they are a map, so that the last classes may lack a name */
    char unread_labels[64];    /* a key that seems to name the classes in an unknown form, or "" */
};

/* Reads the bytes of a config.json of a network with `outputs` outputs (0: unknown). `processor` is
 * what preprocessor_config.json beside it says, or NULL; it must not contradict config.json. After
 * ERR_OK the caller destroys `*out`. ERR_MODEL_INVALID (the message names the key and what would be
 * right), ERR_MODEL_UNSUPPORTED (the message names what is not served), ERR_NO_MEMORY. */
int model_config_parse(struct model_config *out, const char *bytes, size_t length,
                       const struct preprocess_spec *processor, size_t outputs, struct error *err);

/* The same for the files of a model folder; ERR_IO too. */
int model_config_read(struct model_config *out, const char *folder, size_t outputs,
                      struct error *err);
void model_config_destroy(struct model_config *config);

#endif
