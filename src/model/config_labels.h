/* The names of the classes in config.json, in the forms in which timm and Hugging Face write them.
 */
#ifndef RESNEXT_MODEL_CONFIG_LABELS_H
#define RESNEXT_MODEL_CONFIG_LABELS_H

#include <jansson.h>

#include "model/config.h"

/* Fills `out->labels`, `labels_may_end_early` and `unread_labels`. A key is unread if it is none of
 * those below and seems to name the classes, by its own name or because it has `outputs` names (0:
 * unknown) and those are more than a few. The keys are at the root. If none of them says more than
 * Hugging Face's defaults, they are in `picture` (pretrained_cfg), unless that has another number
 * of classes. The first key that says more than defaults is taken, or else the first, and the
 * others must not contradict it:
 *
 *   label_names, labels   a list, or a map from class id to name
 *   id2label              the same
 *   label2id              a map from name to class id
 *   label_descriptions    a map from these names to readable ones, which are then taken instead;
 *                         without the keys above, a list or a map from class id
 *
 * ERR_MODEL_INVALID (the message names the key), ERR_NO_MEMORY. */
int config_labels_read(struct model_config *out, const json_t *root, const json_t *picture,
                       size_t outputs, struct error *err);

#endif
