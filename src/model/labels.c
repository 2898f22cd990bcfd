#include "model/labels.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/utf8.h"
#include "model/file.h"
#include "model/unread_labels.h"

enum { IMAGENET_CLASSES = 1000 };

static int refuse(size_t number, uint32_t point, struct error *err)
{
    return error_set(err, ERR_MODEL_INVALID, "label %zu has the invisible character U+%04X", number,
                     (unsigned)point);
}

/* With an invisible character a label could not be found by its name. */
static int check_characters(const char *name, size_t number, struct error *err)
{
    uint32_t point = 0;
    for (const unsigned char *s = (const unsigned char *)name; *s;) {
        size_t n = utf8_length(s);
        if (n == 0)
            return error_set(err, ERR_MODEL_INVALID, "label %zu is not UTF-8", number);
        if (utf8_is_control(s))
            return error_set(err, ERR_MODEL_INVALID, "label %zu has a control character", number);
        bool at_start = s == (const unsigned char *)name;
        point = utf8_code_point(s, n);
        if (at_start ? utf8_is_invisible_at_end(point) : utf8_is_invisible(point))
            return refuse(number, point, err);
        s += n;
    }
    return utf8_is_invisible_at_end(point) ? refuse(number, point, err) : ERR_OK;
}

static bool has_space(struct label_list *list)
{
    char **names = array_grow(list->names, list->count, &list->capacity, sizeof *names);
    if (names)
        list->names = names;
    return names != NULL;
}

int label_list_add(struct label_list *list, const char *name, size_t length, struct error *err)
{
    for (; length > 0 && isblank((unsigned char)name[0]); length--)
        name++;
    while (length > 0 && isblank((unsigned char)name[length - 1]))
        length--;
    if (length == 0)
        return error_set(err, ERR_MODEL_INVALID, "label %zu is empty", list->count);
    if (length > LABEL_MAX)
        return error_set(err, ERR_MODEL_INVALID, "label %zu has %zu bytes, more than %d",
                         list->count, length, LABEL_MAX);
    if (list->count == MODEL_CLASSES_MAX)
        return error_set(err, ERR_MODEL_INVALID, "more than %d labels", MODEL_CLASSES_MAX);
    if (length > LABELS_FILE_MAX - list->bytes)
        return error_set(err, ERR_MODEL_INVALID,
                         "label %zu: labels are longer than %d MiB together", list->count,
                         LABELS_FILE_MAX >> 20);
    char *copy = strndup(name, length);
    if (!copy || !has_space(list)) {
        free(copy);
        return error_set(err, ERR_NO_MEMORY, "no memory for labels");
    }
    int code = strlen(copy) == length
                   ? check_characters(copy, list->count, err)
                   : error_set(err, ERR_MODEL_INVALID, "label %zu has a NUL", list->count);
    if (code == ERR_OK) {
        list->names[list->count++] = copy;
        list->bytes += length;
    } else
        free(copy);
    return code;
}

int label_list_number(struct label_list *list, size_t count, struct error *err)
{
    int code = ERR_OK;
    while (code == ERR_OK && list->count < count) {
        char name[32];
        int n = snprintf(name, sizeof name, "class %zu", list->count);
        code = label_list_add(list, name, (size_t)n, err);
    }
    return code;
}

void label_list_destroy(struct label_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->names[i]);
    free(list->names);
    *list = (struct label_list){0};
}

static bool is_utf16(const char *bytes, size_t length)
{
    return length >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0);
}

/* Skips a byte order mark, and blank lines at the end. */
static int trim(const char **bytes, size_t *length, struct error *err)
{
    if (is_utf16(*bytes, *length))
        return error_set(err, ERR_MODEL_INVALID, "this is UTF-16; save it as UTF-8");
    size_t mark = utf8_mark_length(*bytes, *length);
    *bytes += mark;
    *length -= mark;
    while (*length > 0 && strchr(" \t\r\n", (*bytes)[*length - 1]) && (*bytes)[*length - 1])
        --*length;
    return ERR_OK;
}

int labels_parse(struct label_list *list, const char *bytes, size_t length, struct error *err)
{
    size_t line = 1;
    int code = trim(&bytes, &length, err);
    if (code != ERR_OK)
        return code;
    for (const char *at = bytes, *end = bytes + length; at < end; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const char *next = stop ? stop + 1 : end;
        stop = stop ? stop : end;
        size_t n = (size_t)(stop - at);
        if (n > 0 && stop[-1] == '\r')
            n--;
        code = label_list_add(list, at, n, err);
        if (code != ERR_OK)
            return error_prefix(err, code, "line %zu", line);
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

int labels_read_file(struct label_list *list, const char *path, struct error *err)
{
    char *bytes;
    size_t length;
    int code = file_read_all(path, LABELS_FILE_MAX, &bytes, &length, err);
    if (code != ERR_OK)
        return code;
    code = labels_parse(list, bytes, length, err);
    free(bytes);
    return error_prefix(err, code, "%s", path);
}

static bool exists_in(char path[FILE_PATH_MAX], const char *folder, const char *place,
                      const char *name)
{
    int length = snprintf(path, FILE_PATH_MAX, "%s/%s/%s", folder, place, name);
    return length < FILE_PATH_MAX && access(path, F_OK) == 0;
}

/* The program's folder, which in the source tree is the build directory. */
static bool find_program(char folder[FILE_PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", folder, FILE_PATH_MAX - 1);
    if (n <= 0)
        return false;
    folder[n] = '\0';
    *strrchr(folder, '/') = '\0';
    return true;
}

bool labels_find_file(char path[FILE_PATH_MAX], const char *folder, const char *name)
{
    char program[FILE_PATH_MAX];
    return exists_in(path, folder, "../labels", name) ||
           exists_in(path, PKGDATADIR, "labels", name) ||
           (find_program(program) && exists_in(path, program, "../models/labels", name));
}

bool labels_has_file(const char *folder)
{
    char path[FILE_PATH_MAX];
    return file_path(path, folder, "labels.txt", NULL) == ERR_OK && access(path, F_OK) == 0;
}

bool label_is_default(const char *name, size_t class_id)
{
    char text[32];
    snprintf(text, sizeof text, "LABEL_%zu", class_id);
    return strcmp(name, text) == 0;
}

bool labels_are_defaults(const struct label_list *list)
{
    bool all = list->count > 0;
    for (size_t i = 0; all && i < list->count; i++)
        all = label_is_default(list->names[i], i);
    return all;
}

int labels_find(struct label_list *list, const char *folder, const char *unread, size_t classes,
                enum label_source *source, struct error *err)
{
    char path[FILE_PATH_MAX];
    int code = file_path(path, folder, "labels.txt", err);
    if (code != ERR_OK)
        return code;
    *source = LABELS_OF_FILE;
    if (access(path, F_OK) == 0)
        return labels_read_file(list, path, err);
    if (*unread)
        return error_set(
            err, ERR_MODEL_INVALID,
            "%s/config.json: %s seems to name the classes, in a form that is not read; "
            "make it \"label_names\": a list in order of class id, or write labels.txt",
            folder, unread);
    code = unread_labels_refuse_files(folder, err);
    if (code != ERR_OK)
        return code;
    *source = LABELS_OF_IMAGENET;
    if (classes == IMAGENET_CLASSES && labels_find_file(path, folder, "imagenet-1k.txt"))
        return labels_read_file(list, path, err);
    *source = LABELS_NUMBERED;
    return label_list_number(list, classes, err);
}
