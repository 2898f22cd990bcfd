/* The pictures that a network is measured on, and the classes that each of them shows. */
#ifndef RESNEXT_TOOL_GROUND_TRUTH_H
#define RESNEXT_TOOL_GROUND_TRUTH_H

#include <stdbool.h>

#include "model/model.h"
#include "tool/files.h"

/* Which class people mean by a name: of a folder, or in a table. */
struct class_names {
    const struct model *model;
    struct label_list synsets; /* empty: none are known */
};

/* ERR_IO, ERR_MODEL_INVALID, ERR_NO_MEMORY. To be closed also after a failure. */
int class_names_open(struct class_names *names, const struct model *model, struct error *err);
void class_names_close(struct class_names *names);

/* The class that a label names, or else a class id, or else a synset as in n01440764. ERR_PARAMETER
 * says why it is none. Any thread. */
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

/* DIR/CLASS/...: every picture below a directory shows the class that it is named by. With `many`,
 * what lies in several of them under one name (and must be one picture, of at most `max_bytes`) is
 * one picture of several classes; a network of one class is refused. Files directly in DIR are
 * passed over. `truth` starts zeroed. ERR_PARAMETER, ERR_IO, ERR_BODY_TOO_LARGE, ERR_NO_MEMORY. */
int ground_truth_read_folders(struct ground_truth *truth, const char *root,
                              const struct class_names *names, bool many, size_t max_bytes,
                              struct error *err);

/* A CSV file of pictures in `root` (or with absolute paths). A first line whose first field has
 * no dot is a header. Either two columns, file and classes, with ';' or '|' between these;
 * or a header that names every class, and columns of 0 and 1. Without `many` each picture must show
 * one class. The same errors; the message names the line. */
int ground_truth_read_table(struct ground_truth *truth, const char *path, const char *root,
                            const struct class_names *names, bool many, struct error *err);

/* The same of a text with a NUL behind it, which is changed; looks at no file. */
int ground_truth_parse(struct ground_truth *truth, char *text, size_t length, const char *root,
                       const struct class_names *names, bool many, struct error *err);

/* Adds a mark. ERR_NO_MEMORY. */
int ground_truth_mark(struct ground_truth *truth, size_t file, int class_id, struct error *err);

/* Harmless on a zeroed one. */
void ground_truth_free(struct ground_truth *truth);

#endif
