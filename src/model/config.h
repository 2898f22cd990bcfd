/* config.json as timm writes it: which network, how its pictures are prepared, what its classes are
 * called. The keys of the picture stand in "pretrained_cfg" or at the root; in both they are equal.
 * Keys that change nothing are ignored. */
#ifndef RESNEXT_MODEL_CONFIG_H
#define RESNEXT_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "image/preprocess.h"
#include "model/activation.h"
#include "model/labels.h"

enum {
    MODEL_CONFIG_FILE_MAX = 16 << 20,
    MODEL_EDGE_MIN = 8,
    MODEL_EDGE_MAX = 1024,
};

struct model_config {
    int classes; /* 0 if the file does not say */
    struct preprocess_spec preprocess;
    bool activation_is_known; /* the file says which */
    enum activation activation;
    struct label_list labels;  /* count 0 if the file has none */
    bool labels_may_end_early; /* of a map: the last classes may lack a name, as others may */
    char unread_labels[64];    /* a key that seems to name the classes in an unknown form, or "" */
};

/* Reads the bytes of a config.json of a network with `outputs` outputs (0: unknown). `*out` is to
 * be destroyed when ERR_OK is returned. ERR_MODEL_INVALID names the key and what would be right,
 * ERR_MODEL_UNSUPPORTED names what is not served, ERR_NO_MEMORY. */
int model_config_parse(struct model_config *out, const char *bytes, size_t length, size_t outputs,
                       struct error *err);

/* The same for a file; ERR_IO too. */
int model_config_read(struct model_config *out, const char *path, size_t outputs,
                      struct error *err);
void model_config_destroy(struct model_config *config);

#endif
