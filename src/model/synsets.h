/* WordNet ids of the classes, after which ImageNet's own folders are named. */
#ifndef RESNEXT_MODEL_SYNSETS_H
#define RESNEXT_MODEL_SYNSETS_H

#include "model/model.h"

/* Reads the ids, in order of class id, from FOLDER/synsets.txt, one per line. Without that file, a
 * model with the labels of ImageNet-1k gets those of imagenet-1k-synsets.txt (labels_find_file).
 * Otherwise `list`, which starts zeroed, stays empty. ERR_IO, ERR_MODEL_INVALID, ERR_NO_MEMORY. */
int synsets_find(struct label_list *list, const struct model *model, struct error *err);

#endif
