#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "model/file.h"
#include "tool/csv.h"
#include "tool/ground_truth.h"

enum { TABLE_MAX = 1 << 30 };

/* The picture of a row. */
struct listed {
    const char *path; /* in truth->files */
    size_t line;
};

struct table {
    struct ground_truth *truth;
    const struct class_names *names;
    const char *root;
    bool many;
    struct csv csv;
    int *columns;          /* [column_count]: the class of each column after the first */
    size_t column_count;   /* 0 without a header of classes */
    struct listed *listed; /* [files] */
    size_t listed_capacity;
};

static int classes_of(const struct table *t)
{
    return t->names->model->classes;
}

static int refuse(const char *reason, const char *text, struct error *err)
{
    return error_set(err, ERR_PARAMETER, "%s%.100s", reason, text);
}

/* Reads a header that names classes. Each class must have exactly one column. */
static int read_columns(struct table *t, struct error *err)
{
    size_t classes = (size_t)classes_of(t);
    for (size_t i = 1; i < t->csv.count; i++) {
        int class_id;
        int code = class_names_find(t->names, t->csv.fields[i], &class_id, err);
        if (code != ERR_OK)
            return code;
        for (size_t k = 0; k < t->column_count; k++)
            if (t->columns[k] == class_id)
                return refuse("there are two columns for the class ", t->csv.fields[i], err);
        t->columns[t->column_count++] = class_id;
    }
    if (t->column_count == classes)
        return ERR_OK;
    return error_set(err, ERR_PARAMETER,
                     "there are columns for %zu of %zu classes; one is needed for each, or else "
                     "two columns, file and classes",
                     t->column_count, classes);
}

/* A first field with a dot is no header but the name of a file that is not a JPEG. */
static int read_header(struct table *t, struct error *err)
{
    char **fields = t->csv.fields;
    size_t count = t->csv.count;
    int class_id;
    if (strchr(fields[0], '.'))
        return refuse("neither a header nor the name of a *.jpg or *.jpeg: ", fields[0], err);
    if (count > 2 ||
        (count == 2 && class_names_find(t->names, fields[1], &class_id, NULL) == ERR_OK))
        return read_columns(t, err);
    return count == 2 ? ERR_OK : refuse("one column; file and classes are needed", "", err);
}

static int add_file(struct table *t, struct error *err)
{
    const char *name = t->csv.fields[0];
    while (strncmp(name, "./", 2) == 0) /* as find(1) prints it */
        name += 2;
    if (!files_is_jpeg_name(name))
        return refuse("not the name of a *.jpg or *.jpeg: ", name, err);
    size_t count = t->truth->files.count;
    struct listed *listed = array_grow(t->listed, count, &t->listed_capacity, sizeof *listed);
    if (!listed)
        return error_set(err, ERR_NO_MEMORY, "no memory for the table");
    t->listed = listed;
    const char *root = t->root;
    if (name[0] == '/') {
        root = "";
        name++;
    }
    char *path;
    if (asprintf(&path, "%s/%s", root, name) < 0)
        return error_set(err, ERR_NO_MEMORY, "no memory for a path");
    int code = files_append(&t->truth->files, path, 0, NULL, err);
    free(path);
    if (code == ERR_OK)
        t->listed[count] = (struct listed){t->truth->files.entries[count].path, t->csv.row};
    return code;
}

static int mark(struct table *t, int class_id, struct error *err)
{
    return ground_truth_mark(t->truth, t->truth->files.count - 1, class_id, err);
}

static int mark_columns(struct table *t, struct error *err)
{
    int code = ERR_OK;
    for (size_t i = 1; code == ERR_OK && i < t->csv.count; i++) {
        const char *value = t->csv.fields[i];
        if (strcmp(value, "1") == 0 || strcmp(value, "1.0") == 0)
            code = mark(t, t->columns[i - 1], err);
        else if (strcmp(value, "0") != 0 && strcmp(value, "0.0") != 0)
            code = refuse("neither 0 nor 1: ", value, err);
    }
    return code;
}

/* Marks the class that the whole field names, or else the classes between separators. An empty
 * field names none. */
static int mark_list(struct table *t, char *list, struct error *err)
{
    int class_id;
    if (*list == '\0')
        return ERR_OK;
    if (classes_of(t) == 1 && strcmp(list, t->names->model->labels[0]) != 0)
        return refuse("of a network with one class, 0 could stand for it as well as for none; "
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
        int code = class_names_find(t->names, list, &class_id, err);
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
    if (t->csv.count != wanted)
        return error_set(err, ERR_PARAMETER, "%zu fields instead of %zu", t->csv.count, wanted);
    int code = add_file(t, err);
    if (code == ERR_OK)
        code = t->column_count ? mark_columns(t, err) : mark_list(t, t->csv.fields[1], err);
    if (code == ERR_OK && !t->many && t->truth->count != before + 1)
        code = error_set(err, ERR_PARAMETER, "%zu classes; of this network each picture shows one",
                         t->truth->count - before);
    return code;
}

/* The first row is a header if it does not name a picture. */
static int read_rows(struct table *t, struct error *err)
{
    int code = csv_next(&t->csv, err);
    bool is_header = code == ERR_OK && t->csv.count > 0 && !files_is_jpeg_name(t->csv.fields[0]);
    while (code == ERR_OK && t->csv.count > 0) {
        code = is_header ? read_header(t, err) : read_row(t, err);
        if (code != ERR_OK)
            return error_prefix(err, code, "line %zu", t->csv.row);
        is_header = false;
        code = csv_next(&t->csv, err);
    }
    if (code == ERR_OK && t->truth->files.count == 0)
        code = error_set(err, ERR_PARAMETER, "there is no picture in this table");
    return code;
}

static int by_path(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;
    int order = strcmp(x->path, y->path);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

/* Refuses a picture in two rows, which would count twice. Sorts t->listed. */
static int check_once(const struct table *t, struct error *err)
{
    const struct listed *listed = t->listed;
    size_t count = t->truth->files.count;
    qsort(t->listed, count, sizeof *t->listed, by_path);
    int code = ERR_OK;
    for (size_t i = 1; code == ERR_OK && i < count; i++)
        if (strcmp(listed[i - 1].path, listed[i].path) == 0)
            code =
                error_set(err, ERR_PARAMETER,
                          "line %zu: this picture is in line %zu already; all its classes go into "
                          "one line",
                          listed[i].line, listed[i - 1].line);
    return code;
}

int ground_truth_parse(struct ground_truth *truth, char *text, size_t length, const char *root,
                       const struct class_names *names, bool many, struct error *err)
{
    size_t classes = (size_t)names->model->classes;
    struct table t = {.truth = truth, .names = names, .root = root, .many = many};
    char **fields = calloc(classes + 1, sizeof *fields);
    t.columns = calloc(classes, sizeof *t.columns);
    int code = fields && t.columns ? csv_open(&t.csv, text, length, fields, classes + 1, err)
                                   : error_set(err, ERR_NO_MEMORY, "no memory for the table");
    if (code == ERR_OK)
        code = read_rows(&t, err);
    if (code == ERR_OK)
        code = check_once(&t, err);
    free(fields);
    free(t.columns);
    free(t.listed);
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
