#include "tool/class_names.h"

#include <string.h>

#include "model/synsets.h"

int class_names_open(struct class_names *names, const struct model *model, struct error *err)
{
    *names = (struct class_names){.model = model};
    return synsets_find(&names->synsets, model, err);
}

void class_names_close(struct class_names *names)
{
    label_list_destroy(&names->synsets);
}

int class_names_find(const struct class_names *names, const char *name, int *class_id,
                     struct error *err)
{
    struct error reason;
    if (model_find_class(names->model, name, class_id, &reason) == ERR_OK)
        return ERR_OK;
    for (size_t i = 0; i < names->synsets.count; i++)
        if (strcmp(names->synsets.names[i], name) == 0) {
            *class_id = (int)i;
            return ERR_OK;
        }
    return error_set(err, ERR_PARAMETER, "%s%s", reason.message,
                     names->synsets.count ? ", or a synset of ImageNet" : "");
}
