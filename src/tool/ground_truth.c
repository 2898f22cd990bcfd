#include "tool/ground_truth.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"
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

int ground_truth_mark(struct ground_truth *truth, size_t file, int class_id, struct error *err)
{
    struct mark *marks = array_grow(truth->marks, truth->count, &truth->capacity, sizeof *marks);
    if (!marks)
        return error_set(err, ERR_NO_MEMORY, "no memory for the classes of pictures");
    truth->marks = marks;
    truth->marks[truth->count++] = (struct mark){file, class_id};
    return ERR_OK;
}

void ground_truth_free(struct ground_truth *truth)
{
    files_free(&truth->files);
    free(truth->marks);
    *truth = (struct ground_truth){0};
}

/* A picture that lies in the folder of a class. */
struct placed {
    const char *name; /* its path below that */
    struct file_entry entry;
};

static int add_class(const struct class_names *names, struct file_list *files, const char *root,
                     const char *name, struct error *err)
{
    char *path;
    if (asprintf(&path, "%s/%s", root, name) < 0)
        return error_set(err, ERR_NO_MEMORY, "no memory for a path");
    struct stat st;
    int code = ERR_OK, class_id = -1;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        code = class_names_find(names, name, &class_id, err);
        if (code == ERR_OK)
            code = files_add(files, path, class_id, err);
        else
            code = error_prefix(err, code, "directory %s", name);
    }
    free(path);
    return code;
}

static int visible(const struct dirent *entry)
{
    return !files_is_hidden(entry->d_name);
}

static int bytewise(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Every picture of DIR with the class that its directory is named by. */
static int collect(const struct class_names *names, struct file_list *files, const char *root,
                   struct error *err)
{
    struct dirent **found;
    int count = scandir(root, &found, visible, bytewise);
    if (count < 0)
        return error_set(err, ERR_IO, "cannot read directory %s: %s", root, strerror(errno));
    int code = ERR_OK;
    for (int i = 0; i < count; i++) {
        if (code == ERR_OK)
            code = add_class(names, files, root, found[i]->d_name, err);
        free(found[i]);
    }
    free(found);
    if (code == ERR_OK && files->count == 0)
        code =
            error_set(err, ERR_IO,
                      "%s: there are no directories named by label, class id or synset; --labels "
                      "takes a table for pictures that lie otherwise",
                      root);
    return code;
}

/* The path below the folder of a class; NULL of an entry that is no picture. */
static const char *name_below(const char *path, const char *root)
{
    const char *name = path + strlen(root) + 1;
    name = strchr(name, '/');
    return name ? name + 1 : NULL;
}

static int by_name(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (!x->name || !y->name)
        return !x->name - !y->name;
    int order = strcmp(x->name, y->name);
    return order ? order : x->entry.class_id - y->entry.class_id;
}

static int compare(const char *a, const struct file_bytes *x, const char *b, size_t max_bytes,
                   struct error *err)
{
    struct file_bytes y = {0};
    int code = files_read(b, max_bytes, &y, err);
    bool same = code == ERR_OK && x->length == y.length && memcmp(x->data, y.data, y.length) == 0;
    free(y.data);
    if (code != ERR_OK)
        return error_prefix(err, code, "%s", b);
    if (same)
        return ERR_OK;
    return error_set(
        err, ERR_PARAMETER,
        "%s and %s have one name but are two pictures; of a network with several "
        "labels for each, pictures of one name are one: rename them, or list them in a "
        "table for --labels",
        a, b);
}

/* Whether two files have the same bytes. The first is read again to be classified, and fails then
 * if it cannot be read. Of the other nobody would ever know. */
static int check_same(const char *a, const char *b, size_t max_bytes, struct error *err)
{
    struct file_bytes x = {0};
    struct error unread;
    int code = files_read(a, max_bytes, &x, &unread) == ERR_OK ? compare(a, &x, b, max_bytes, err)
                                                               : ERR_OK;
    free(x.data);
    return code;
}

/* Moves the entries to truth->files, those of one name as one. */
static int merge(struct ground_truth *truth, struct placed *placed, size_t count, size_t max_bytes,
                 struct error *err)
{
    int code = ERR_OK;
    qsort(placed, count, sizeof *placed, by_name);
    for (size_t i = 0, first = 0; code == ERR_OK && i < count; i++) {
        struct file_entry *entry = &placed[i].entry;
        bool again = i > 0 && placed[i].name && strcmp(placed[i].name, placed[first].name) == 0;
        if (again) {
            code = check_same(placed[first].entry.path, entry->path, max_bytes, err);
        } else {
            first = i;
            code = files_append(&truth->files, entry->path, 0, entry->problem, err);
        }
        if (code == ERR_OK)
            code = ground_truth_mark(truth, truth->files.count - 1, entry->class_id, err);
    }
    return code;
}

static int merge_by_name(struct ground_truth *truth, const struct file_list *files,
                         const char *root, size_t max_bytes, struct error *err)
{
    struct placed *placed = calloc(files->count, sizeof *placed);
    if (!placed)
        return error_set(err, ERR_NO_MEMORY, "no memory for the list of files");
    for (size_t i = 0; i < files->count; i++)
        placed[i] = (struct placed){name_below(files->entries[i].path, root), files->entries[i]};
    int code = merge(truth, placed, files->count, max_bytes, err);
    free(placed);
    return code;
}

int ground_truth_read_folders(struct ground_truth *truth, const char *root,
                              const struct class_names *names, bool many, size_t max_bytes,
                              struct error *err)
{
    struct file_list files = {0};
    if (many && names->model->classes == 1)
        return error_set(err, ERR_PARAMETER,
                         "of a network with one class, directories cannot tell which pictures do "
                         "not show it; --labels takes a table");
    int code = collect(names, many ? &files : &truth->files, root, err);
    if (code == ERR_OK && many)
        code = merge_by_name(truth, &files, root, max_bytes, err);
    for (size_t i = 0; code == ERR_OK && !many && i < truth->files.count; i++)
        code = ground_truth_mark(truth, i, truth->files.entries[i].class_id, err);
    files_free(&files);
    return code;
}
