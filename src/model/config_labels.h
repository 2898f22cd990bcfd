/* The names of the classes in config.json, in the forms in which timm and Hugging Face write them.
 */
#ifndef RESNEXT_MODEL_CONFIG_LABELS_H
#define RESNEXT_MODEL_CONFIG_LABELS_H

#include <jansson.h>

#include "model/config.h"

/* Fills `out->labels`, `labels_may_end_early` and `unread_labels`: names of classes under another
 * key, by what it is called or by their being `outputs` (0: unknown), if those are more than a few.
 * The keys stand at the root or, if none is there that says more than Hugging Face's defaults, in
 * `picture` (pretrained_cfg), unless that has another number of classes. The first counts, but for
 * defaults, and the others must not contradict it:
 *
 *   label_names, labels   a list, or a map from class id to name
 *   id2label              the same
 *   label2id              a map from name to class id
 *   label_descriptions    a map from these names to ones that people read, which are taken
 *                         then; without the above, a list or a map from class id
 *
 * ERR_MODEL_INVALID names the key, ERR_NO_MEMORY. */
int config_labels_read(struct model_config *out, const json_t *root, const json_t *picture,
                       size_t outputs, struct error *err);

#endif
