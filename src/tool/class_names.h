/* Which class people mean by a name: of a folder, or in a table. */
#ifndef RESNEXT_TOOL_CLASS_NAMES_H
#define RESNEXT_TOOL_CLASS_NAMES_H

#include "model/model.h"

struct class_names {
    const struct model *model;
    struct label_list synsets; /* empty: none are known */
};

/* ERR_IO, ERR_MODEL_INVALID, ERR_NO_MEMORY. To be closed also after a failure. */
int class_names_open(struct class_names *names, const struct model *model, struct error *err);
void class_names_close(struct class_names *names);

/* The class that a label names, or else a class id, or else a synset as in n01440764. ERR_PARAMETER
 * says why it is none. Any thread. */
int class_names_find(const struct class_names *names, const char *name, int *class_id,
                     struct error *err);

#endif
