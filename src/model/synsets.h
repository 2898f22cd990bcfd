/* WordNet ids of the classes, which ImageNet's own folders are called by. */
#ifndef RESNEXT_MODEL_SYNSETS_H
#define RESNEXT_MODEL_SYNSETS_H

#include "model/model.h"

/* The ids in order of class id: FOLDER/synsets.txt, one a line; without it, for a model whose
 * labels are those of ImageNet-1k, imagenet-1k-synsets.txt, which lies where labels_find_file finds
 * it. Else `list`, which starts zeroed, stays empty. ERR_IO, ERR_MODEL_INVALID, ERR_NO_MEMORY. */
int synsets_find(struct label_list *list, const struct model *model, struct error *err);

#endif
