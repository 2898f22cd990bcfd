#include "model/labels.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "model/file.h"

enum { IMAGENET_CLASSES = 1000 };

static bool is_clean(const char *name)
{
    for (const unsigned char *s = (const unsigned char *)name; *s;) {
        size_t n = utf8_length(s);
        if (n == 0 || *s < 0x20 || *s == 0x7f)
            return false;
        s += n;
    }
    return true;
}

static bool has_room(struct label_list *list)
{
    if ((list->count & (list->count - 1)) != 0)
        return true;
    size_t room = list->count ? 2 * list->count : 1;
    char **names = realloc(list->names, room * sizeof *names);
    if (names)
        list->names = names;
    return names != NULL;
}

int label_list_add(struct label_list *list, const char *name, size_t length, struct error *err)
{
    if (length == 0 || length > LABEL_MAX)
        return error_set(err, ERR_MODEL_INVALID, "label %zu has %zu bytes, not 1 to %d",
                         list->count, length, LABEL_MAX);
    char *copy = strndup(name, length);
    if (!copy || !has_room(list)) {
        free(copy);
        return error_set(err, ERR_NO_MEMORY, "no memory for labels");
    }
    if (strlen(copy) != length || !is_clean(copy)) {
        free(copy);
        return error_set(err, ERR_MODEL_INVALID,
                         "label %zu is not UTF-8 without control characters", list->count);
    }
    list->names[list->count++] = copy;
    return ERR_OK;
}

void label_list_destroy(struct label_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->names[i]);
    free(list->names);
    *list = (struct label_list){0};
}

int labels_parse(struct label_list *list, const char *bytes, size_t length, struct error *err)
{
    size_t line = 1;
    for (const char *at = bytes, *end = bytes + length; at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const char *next = stop ? stop + 1 : end;
        stop = stop ? stop : end;
        size_t n = (size_t)(stop - at);
        if (n > 0 && stop[-1] == '\r')
            n--;
        int rc = label_list_add(list, at, n, err);
        if (rc != ERR_OK)
            return error_prefix(err, rc, "line %zu", line);
        at = next;
    }
    return ERR_OK;
}

static int read_file(struct label_list *list, const char *path, size_t classes, struct error *err)
{
    char *bytes;
    size_t length;
    int rc = file_read_all(path, LABELS_FILE_MAX, &bytes, &length, err);
    if (rc != ERR_OK)
        return rc;
    rc = labels_parse(list, bytes, length, err);
    free(bytes);
    if (rc != ERR_OK)
        return error_prefix(err, rc, "%s", path);
    if (list->count != classes)
        return error_set(err, ERR_MODEL_INVALID,
                         "%s has %zu labels for %zu classes; one a line, "
                         "in order of class id",
                         path, list->count, classes);
    return ERR_OK;
}

static int number_them(struct label_list *list, size_t classes, struct error *err)
{
    int rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < classes; i++) {
        char name[32];
        int n = snprintf(name, sizeof name, "class %zu", i);
        rc = label_list_add(list, name, (size_t)n, err);
    }
    return rc;
}

static bool join(char path[4096], const char *folder, const char *name, struct error *err)
{
    bool fits = snprintf(path, 4096, "%s/%s", folder, name) < 4096;
    if (!fits)
        error_set(err, ERR_IO, "the model's path is too long");
    return fits;
}

/* Where the names of ImageNet's classes lie in the source tree that the program was built in. */
static bool in_source_tree(char path[4096])
{
    char program[3072];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0)
        return false;
    program[n] = '\0';
    *strrchr(program, '/') = '\0';
    return join(path, program, "../models/labels/imagenet-1k.txt", NULL);
}

int labels_find(struct label_list *list, const char *folder, size_t classes, struct error *err)
{
    char path[4096];
    if (!join(path, folder, "labels.txt", err))
        return ERR_IO;
    if (access(path, F_OK) == 0)
        return read_file(list, path, classes, err);
    if (classes != IMAGENET_CLASSES)
        return number_them(list, classes, err);
    if (!join(path, folder, "../labels/imagenet-1k.txt", err))
        return ERR_IO;
    if (access(path, F_OK) == 0)
        return read_file(list, path, classes, err);
    if (access(PKGDATADIR "/labels/imagenet-1k.txt", F_OK) == 0)
        return read_file(list, PKGDATADIR "/labels/imagenet-1k.txt", classes, err);
    if (in_source_tree(path) && access(path, F_OK) == 0)
        return read_file(list, path, classes, err);
    return number_them(list, classes, err);
}
