#include "model/labels.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "model/file.h"

enum { IMAGENET_CLASSES = 1000 };

static int refuse(size_t number, uint32_t point, struct error *err)
{
    return error_set(err, ERR_MODEL_INVALID, "label %zu has the invisible character U+%04X", number,
                     (unsigned)point);
}

/* What nobody sees would keep a label from being found by its name. */
static int check_characters(const char *name, size_t number, struct error *err)
{
    uint32_t point = 0;
    for (const unsigned char *s = (const unsigned char *)name; *s;) {
        size_t n = utf8_length(s);
        if (n == 0 || utf8_is_control(s))
            return error_set(err, ERR_MODEL_INVALID,
                             "label %zu is not UTF-8 without control characters", number);
        bool at_start = s == (const unsigned char *)name;
        point = utf8_code_point(s, n);
        if (at_start ? utf8_is_invisible_at_end(point) : utf8_is_invisible(point))
            return refuse(number, point, err);
        s += n;
    }
    return utf8_is_invisible_at_end(point) ? refuse(number, point, err) : ERR_OK;
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

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

int label_list_add(struct label_list *list, const char *name, size_t length, struct error *err)
{
    for (; length > 0 && is_blank(name[0]); length--)
        name++;
    while (length > 0 && is_blank(name[length - 1]))
        length--;
    if (length == 0 || length > LABEL_MAX)
        return error_set(err, ERR_MODEL_INVALID, "label %zu has %zu bytes, not 1 to %d",
                         list->count, length, LABEL_MAX);
    char *copy = strndup(name, length);
    if (!copy || !has_room(list)) {
        free(copy);
        return error_set(err, ERR_NO_MEMORY, "no memory for labels");
    }
    int rc = strlen(copy) == length
                 ? check_characters(copy, list->count, err)
                 : error_set(err, ERR_MODEL_INVALID, "label %zu has a NUL", list->count);
    if (rc == ERR_OK)
        list->names[list->count++] = copy;
    else
        free(copy);
    return rc;
}

int label_list_number(struct label_list *list, size_t count, struct error *err)
{
    int rc = ERR_OK;
    while (rc == ERR_OK && list->count < count) {
        char name[32];
        int n = snprintf(name, sizeof name, "class %zu", list->count);
        rc = label_list_add(list, name, (size_t)n, err);
    }
    return rc;
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
    static const char byte_order_mark[] = {'\xef', '\xbb', '\xbf'};
    size_t line = 1, mark = sizeof byte_order_mark;
    if (length >= mark && memcmp(bytes, byte_order_mark, mark) == 0) {
        bytes += mark;
        length -= mark;
    }
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

const char *label_source_name(enum label_source source)
{
    static const char *const names[] = {
        [LABELS_OF_CONFIG] = "config.json",
        [LABELS_OF_FILE] = "labels.txt",
        [LABELS_OF_IMAGENET] = "imagenet-1k",
        [LABELS_NUMBERED] = "numbers",
    };
    return names[source];
}

static int read_file(struct label_list *list, const char *path, struct error *err)
{
    char *bytes;
    size_t length;
    int rc = file_read_all(path, LABELS_FILE_MAX, &bytes, &length, err);
    if (rc != ERR_OK)
        return rc;
    rc = labels_parse(list, bytes, length, err);
    free(bytes);
    return rc == ERR_OK ? ERR_OK : error_prefix(err, rc, "%s", path);
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

/* The file with the names of ImageNet's classes; false if there is none. */
static bool find_imagenet(char path[4096], const char *folder)
{
    static const char installed[] = PKGDATADIR "/labels/imagenet-1k.txt";
    if (join(path, folder, "../labels/imagenet-1k.txt", NULL) && access(path, F_OK) == 0)
        return true;
    if (access(installed, F_OK) == 0) {
        memcpy(path, installed, sizeof installed);
        return true;
    }
    return in_source_tree(path) && access(path, F_OK) == 0;
}

/* Files beside the weights in which others keep their names of classes. */
static int refuse_other_files(const char *folder, struct error *err)
{
    static const char *const stems[] = {"labels",      "label_names", "label_map",    "classes",
                                        "class_names", "categories",  "class_to_idx", "id2label",
                                        "synsets",     "synset"};
    static const char *const endings[] = {".txt", ".json", ".csv", ".yaml", ".names"};
    char path[4096], name[32];
    for (size_t i = 0; i < sizeof stems / sizeof stems[0]; i++)
        for (size_t k = 0; k < sizeof endings / sizeof endings[0]; k++) {
            snprintf(name, sizeof name, "%s%s", stems[i], endings[k]);
            if (join(path, folder, name, NULL) && access(path, F_OK) == 0)
                return error_set(
                    err, ERR_MODEL_INVALID,
                    "%s seems to name the classes; only labels.txt is read, one name a "
                    "line in order of class id",
                    path);
        }
    return ERR_OK;
}

int labels_find(struct label_list *list, const char *folder, const char *unread, size_t classes,
                enum label_source *source, struct error *err)
{
    char path[4096];
    if (!join(path, folder, "labels.txt", err))
        return ERR_IO;
    *source = LABELS_OF_FILE;
    if (access(path, F_OK) == 0)
        return read_file(list, path, err);
    if (*unread)
        return error_set(
            err, ERR_MODEL_INVALID,
            "%s/config.json: %s seems to name the classes, in a form that is not read; "
            "make it \"label_names\": a list in order of class id",
            folder, unread);
    int rc = refuse_other_files(folder, err);
    if (rc != ERR_OK)
        return rc;
    *source = LABELS_OF_IMAGENET;
    if (classes == IMAGENET_CLASSES && find_imagenet(path, folder))
        return read_file(list, path, err);
    *source = LABELS_NUMBERED;
    return label_list_number(list, classes, err);
}
