#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "model/file.h"
#include "tool/csv.h"
#include "tool/ground_truth.h"

enum { TABLE_MAX = 1 << 30 };

struct table {
    struct ground_truth *truth;
    const struct class_names *names;
    const char *root;
    bool many;
    struct csv csv;
    char **fields; /* [max_fields] of the row at hand */
    size_t max_fields, count, line;
    int *columns; /* [classes]: the class of each column after the first; column_count is 0 without
                   */
    size_t column_count;
    size_t *lines; /* [files]: where each was found */
    size_t lines_capacity;
};

static int classes_of(const struct table *t)
{
    return t->names->model->classes;
}

static int refuse(const struct table *t, const char *reason, const char *text, struct error *err)
{
    return error_set(err, ERR_PARAMETER, "line %zu: %s%.100s", t->line, reason, text);
}

static int find_class(const struct table *t, const char *name, int *class_id, struct error *err)
{
    int code = class_names_find(t->names, name, class_id, err);
    return code == ERR_OK ? code : error_prefix(err, code, "line %zu", t->line);
}

/* The columns of a header that names classes: all of them, each once. */
static int read_columns(struct table *t, struct error *err)
{
    size_t classes = (size_t)classes_of(t);
    for (size_t i = 1; i < t->count; i++) {
        int class_id;
        int code = find_class(t, t->fields[i], &class_id, err);
        if (code != ERR_OK)
            return code;
        for (size_t k = 0; k < t->column_count; k++)
            if (t->columns[k] == class_id)
                return refuse(t, "there are two columns for the class ", t->fields[i], err);
        t->columns[t->column_count++] = class_id;
    }
    if (t->column_count == classes)
        return ERR_OK;
    return error_set(
        err, ERR_PARAMETER,
        "line %zu: there are columns for %zu of %zu classes; one is needed for each, or "
        "else two columns, file and classes",
        t->line, t->column_count, classes);
}

/* A first row without a picture is a header; a name with a dot is that of another file. */
static int read_header(struct table *t, bool *is_header, struct error *err)
{
    int class_id;
    *is_header = t->count > 0 && !files_is_jpeg_name(t->fields[0]);
    if (!*is_header)
        return ERR_OK;
    if (strchr(t->fields[0], '.'))
        return refuse(t, "neither a header nor the name of a *.jpg or *.jpeg: ", t->fields[0], err);
    if (t->count > 2 ||
        (t->count == 2 && class_names_find(t->names, t->fields[1], &class_id, NULL) == ERR_OK))
        return read_columns(t, err);
    return t->count == 2 ? ERR_OK : refuse(t, "one column; file and classes are needed", "", err);
}

static int add_file(struct table *t, struct error *err)
{
    const char *name = t->fields[0];
    while (strncmp(name, "./", 2) == 0) /* as find(1) has it */
        name += 2;
    if (!files_is_jpeg_name(name))
        return refuse(t, "not the name of a *.jpg or *.jpeg: ", name, err);
    size_t *lines = array_grow(t->lines, t->truth->files.count, &t->lines_capacity, sizeof *lines);
    if (!lines)
        return error_set(err, ERR_NO_MEMORY, "no memory for the table");
    t->lines = lines;
    t->lines[t->truth->files.count] = t->line;
    if (name[0] == '/')
        return files_append(&t->truth->files, name, 0, NULL, err);
    char *path;
    if (asprintf(&path, "%s/%s", t->root, name) < 0)
        return error_set(err, ERR_NO_MEMORY, "no memory for a path");
    int code = files_append(&t->truth->files, path, 0, NULL, err);
    free(path);
    return code;
}

static int mark(struct table *t, int class_id, struct error *err)
{
    return ground_truth_mark(t->truth, t->truth->files.count - 1, class_id, err);
}

static int mark_columns(struct table *t, struct error *err)
{
    int code = ERR_OK;
    for (size_t i = 1; code == ERR_OK && i < t->count; i++) {
        const char *value = t->fields[i];
        if (strcmp(value, "1") == 0 || strcmp(value, "1.0") == 0)
            code = mark(t, t->columns[i - 1], err);
        else if (strcmp(value, "0") != 0 && strcmp(value, "0.0") != 0)
            code = refuse(t, "neither 0 nor 1: ", value, err);
    }
    return code;
}

/* A whole field that is a class, or else those between separators; none if it is empty. */
static int mark_list(struct table *t, char *list, struct error *err)
{
    int class_id;
    if (*list == '\0')
        return ERR_OK;
    if (classes_of(t) == 1 && strcmp(list, t->names->model->labels[0]) != 0)
        return refuse(t,
                      "of a network with one class, 0 could stand for it as well as for none; "
                      "write its label or nothing, or name it in a header, with 1 or 0 below: ",
                      list, err);
    if (class_names_find(t->names, list, &class_id, NULL) == ERR_OK)
        return mark(t, class_id, err);
    for (bool more = true; more;) {
        char *next = list + strcspn(list, ";|"), *end = next;
        more = *next != '\0';
        list += strspn(list, " \t");
        while (end > list && isblank((unsigned char)end[-1]))
            end--;
        *end = '\0';
        int code = find_class(t, list, &class_id, err);
        if (code == ERR_OK)
            code = mark(t, class_id, err);
        if (code != ERR_OK)
            return code;
        list = next + 1;
    }
    return ERR_OK;
}

static int read_row(struct table *t, struct error *err)
{
    size_t wanted = t->column_count ? t->column_count + 1 : 2, before = t->truth->count;
    if (t->count != wanted)
        return error_set(err, ERR_PARAMETER, "line %zu: %zu fields instead of %zu", t->line,
                         t->count, wanted);
    int code = add_file(t, err);
    if (code == ERR_OK)
        code = t->column_count ? mark_columns(t, err) : mark_list(t, t->fields[1], err);
    if (code == ERR_OK && !t->many && t->truth->count != before + 1)
        code = error_set(err, ERR_PARAMETER,
                         "line %zu: %zu classes; of this network each picture shows one", t->line,
                         t->truth->count - before);
    return code;
}

static int next_row(struct table *t, struct error *err)
{
    return csv_next(&t->csv, t->fields, t->max_fields, &t->count, &t->line, err);
}

static int read_rows(struct table *t, struct error *err)
{
    bool is_header;
    int code = next_row(t, err);
    if (code == ERR_OK)
        code = read_header(t, &is_header, err);
    if (code == ERR_OK && is_header)
        code = next_row(t, err);
    while (code == ERR_OK && t->count > 0) {
        code = read_row(t, err);
        if (code == ERR_OK)
            code = next_row(t, err);
    }
    if (code == ERR_OK && t->truth->files.count == 0)
        code = error_set(err, ERR_PARAMETER, "there is no picture in this table");
    return code;
}

struct listed {
    const char *path;
    size_t line;
};

static int by_path(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

/* A picture that is listed twice would count twice. */
static int check_once(const struct table *t, struct error *err)
{
    size_t count = t->truth->files.count;
    struct listed *listed = calloc(count, sizeof *listed);
    if (!listed)
        return error_set(err, ERR_NO_MEMORY, "no memory for the table");
    for (size_t i = 0; i < count; i++)
        listed[i] = (struct listed){t->truth->files.entries[i].path, t->lines[i]};
    qsort(listed, count, sizeof *listed, by_path);
    int code = ERR_OK;
    for (size_t i = 1; code == ERR_OK && i < count; i++)
        if (strcmp(listed[i - 1].path, listed[i].path) == 0)
            code =
                error_set(err, ERR_PARAMETER,
                          "line %zu: this picture is in line %zu already; all its classes go into "
                          "one line",
                          listed[i].line, listed[i - 1].line);
    free(listed);
    return code;
}

int ground_truth_parse(struct ground_truth *truth, char *text, size_t length, const char *root,
                       const struct class_names *names, bool many, struct error *err)
{
    size_t classes = (size_t)names->model->classes;
    struct table t = {.truth = truth, .names = names, .root = root, .many = many};
    t.max_fields = classes + 1;
    t.fields = calloc(t.max_fields, sizeof *t.fields);
    t.columns = calloc(classes, sizeof *t.columns);
    int code = t.fields && t.columns ? csv_open(&t.csv, text, length, err)
                                     : error_set(err, ERR_NO_MEMORY, "no memory for the table");
    if (code == ERR_OK)
        code = read_rows(&t, err);
    if (code == ERR_OK)
        code = check_once(&t, err);
    free(t.fields);
    free(t.columns);
    free(t.lines);
    return code;
}

int ground_truth_read_table(struct ground_truth *truth, const char *path, const char *root,
                            const struct class_names *names, bool many, struct error *err)
{
    char *text;
    size_t length;
    int code = file_read_all(path, TABLE_MAX, &text, &length, err);
    if (code != ERR_OK)
        return code;
    code = ground_truth_parse(truth, text, length, root, names, many, err);
    free(text);
    return code == ERR_OK ? code : error_prefix(err, code, "%s", path);
}
