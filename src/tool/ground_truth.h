/* The pictures of an evaluation and their true classes. */
#ifndef RESNEXT_TOOL_GROUND_TRUTH_H
#define RESNEXT_TOOL_GROUND_TRUTH_H

#include <stdbool.h>

#include "model/model.h"
#include "tool/files.h"

/* Maps names of folders or table fields to classes. */
struct class_names {
    const struct model *model;
    struct label_list synsets; /* may be empty */
};

/* ERR_IO, ERR_MODEL_INVALID, ERR_NO_MEMORY. The caller closes it, even after a failure. */
int class_names_open(struct class_names *names, const struct model *model, struct error *err);
void class_names_close(struct class_names *names);

/* Finds a class by label, class id or synset (such as n01440764), tried in this order.
 * ERR_PARAMETER if the name is unknown or ambiguous. Any thread. */
int class_names_find(const struct class_names *names, const char *name, int *class_id,
                     struct error *err);

/* File number `file` shows the class. */
struct mark {
    size_t file;
    int class_id;
};

struct ground_truth {
    struct file_list files;
    struct mark *marks; /* in order of files */
    size_t count, capacity;
};

/* Reads DIR/CLASS/...: every picture below a directory shows the class that names the directory.
 * Files directly in DIR are skipped. With `many` a picture may show several classes: files with the
 * same name in several directories are one picture. They must have the same bytes, at most
 * `max_bytes`. A network with one class is then refused. `truth` starts zeroed. ERR_PARAMETER,
 * ERR_IO, ERR_BODY_TOO_LARGE, ERR_NO_MEMORY. */
int ground_truth_read_folders(struct ground_truth *truth, const char *root,
                              const struct class_names *names, bool many, size_t max_bytes,
                              struct error *err);

/* Reads a CSV file of pictures, with paths relative to `root` or absolute. The first line is a
 * header if its first field has no dot. The columns are file and classes, the latter separated by
 * ';' or '|'; or the header names every class, and each class has a column of 0 and 1. Without
 * `many` each picture must show one class. The errors of ground_truth_read_folders; the message
 * names the line. */
int ground_truth_read_table(struct ground_truth *truth, const char *path, const char *root,
                            const struct class_names *names, bool many, struct error *err);

/* Like ground_truth_read_table, but parses a NUL-terminated text, which it modifies. Accesses no
 * files. */
int ground_truth_parse(struct ground_truth *truth, char *text, size_t length, const char *root,
                       const struct class_names *names, bool many, struct error *err);

/* Adds a mark. ERR_NO_MEMORY. */
int ground_truth_mark(struct ground_truth *truth, size_t file, int class_id, struct error *err);

/* Frees files and marks. A zeroed struct is fine. */
void ground_truth_free(struct ground_truth *truth);

#endif
