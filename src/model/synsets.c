#include "model/synsets.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Whether a label is ImageNet's name for a class, or its list of synonyms, which others use:
 * "tench, Tinca tinca" for "tench", and "crane" for "crane bird". */
static bool is_name(const char *label, const char *name)
{
    size_t length = strcspn(label, ",");
    return length > 0 && strncasecmp(label, name, length) == 0 &&
           (name[length] == '\0' || name[length] == ' ');
}

static int are_of_imagenet(const struct model *model, bool *yes, struct error *err)
{
    struct label_list names = {0};
    char path[FILE_PATH_MAX];
    int code = ERR_OK;
    *yes = false;
    if (labels_find_file(path, model->path, "imagenet-1k.txt"))
        code = labels_read_file(&names, path, err);
    if (code == ERR_OK && names.count == (size_t)model->classes) {
        *yes = true;
        for (size_t i = 0; *yes && i < names.count; i++)
            *yes = is_name(model->labels[i], names.names[i]);
    }
    label_list_destroy(&names);
    return code;
}

int synsets_find(struct label_list *list, const struct model *model, struct error *err)
{
    char path[FILE_PATH_MAX];
    int code = file_path(path, model->path, "synsets.txt", err);
    if (code == ERR_OK && access(path, F_OK) != 0) {
        bool yes;
        code = are_of_imagenet(model, &yes, err);
        if (code != ERR_OK || !yes ||
            !labels_find_file(path, model->path, "imagenet-1k-synsets.txt"))
            return code;
    }
    if (code == ERR_OK)
        code = labels_read_file(list, path, err);
    if (code == ERR_OK && list->count != (size_t)model->classes)
        code = error_set(err, ERR_MODEL_INVALID, "%s has %zu synsets for %d classes", path,
                         list->count, model->classes);
    return code;
}
