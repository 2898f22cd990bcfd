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

/* Adds every picture below DIR with the class that names its directory. */
static int collect(const struct class_names *names, struct file_list *files, const char *root,
                   struct error *err)
{
    struct dirent **found;
    int count = scandir(root, &found, visible, alphasort);
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

/* The part of `path` below the folder of a class. NULL: the entry is the folder itself. */
static const char *name_below(const char *path, const char *root)
{
    const char *name = path + strlen(root) + 1;
    name = strchr(name, '/');
    return name ? name + 1 : NULL;
}

static int by_name(const void *a, const void *b, void *root)
{
    const struct file_entry *x = a, *y = b;
    const char *folder = *(const char **)root;
    const char *name = name_below(x->path, folder), *other = name_below(y->path, folder);
    if (!name || !other)
        return !name - !other;
    int order = strcmp(name, other);
    return order ? order : x->class_id - y->class_id;
}

/* Refuses files with different bytes. If the first cannot be read, that is no error here: reading
 * it to classify it fails again. The second is read only here. */
static int check_same(const char *a, const char *b, size_t max_bytes, struct error *err)
{
    struct file_bytes x = {0}, y = {0};
    int code = ERR_OK;
    if (files_read(a, max_bytes, &x, NULL) == ERR_OK) {
        code = files_read(b, max_bytes, &y, err);
        if (code != ERR_OK)
            error_prefix(err, code, "%s", b);
        else if (x.length != y.length || memcmp(x.data, y.data, y.length) != 0)
            code = error_set(
                err, ERR_PARAMETER,
                "%s and %s have one name but are two pictures; of a network with several labels "
                "for each, pictures of one name are one: rename them, or list them in a table for "
                "--labels",
                a, b);
    }
    free(x.data);
    free(y.data);
    return code;
}

/* Adds the files to truth->files, those with the same name as one entry. */
static int merge_by_name(struct ground_truth *truth, const struct file_list *files,
                         const char *root, size_t max_bytes, struct error *err)
{
    int code = ERR_OK;
    const struct file_entry *first = files->entries;
    qsort_r(files->entries, files->count, sizeof *files->entries, by_name, &root);
    for (size_t i = 0; code == ERR_OK && i < files->count; i++) {
        const struct file_entry *entry = &files->entries[i];
        const char *name = name_below(entry->path, root);
        if (i > 0 && name && strcmp(name, name_below(first->path, root)) == 0) {
            code = check_same(first->path, entry->path, max_bytes, err);
        } else {
            first = entry;
            code = files_append(&truth->files, entry->path, 0, entry->problem, err);
        }
        if (code == ERR_OK)
            code = ground_truth_mark(truth, truth->files.count - 1, entry->class_id, err);
    }
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
