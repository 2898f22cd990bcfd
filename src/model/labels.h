/* Names of the classes. */
#ifndef RESNEXT_MODEL_LABELS_H
#define RESNEXT_MODEL_LABELS_H

#include <stddef.h>

#include "base/error.h"

/* The longest name, in bytes, and the largest file that is read. */
enum { LABEL_MAX = 1024, LABELS_FILE_MAX = 16 << 20 };

/* Names in order of class id. Starts zeroed. */
struct label_list {
    char **names;
    size_t count;
};

/* Appends a copy of `length` bytes: UTF-8 without control characters, 1 to LABEL_MAX bytes.
 * ERR_MODEL_INVALID, ERR_NO_MEMORY. */
int label_list_add(struct label_list *list, const char *name, size_t length, struct error *err);
void label_list_destroy(struct label_list *list);

/* One name a line; the line end is LF or CR LF and may be missing after the last. Appends to
 * `list`, which stays to be destroyed on failure. ERR_MODEL_INVALID names the line. */
int labels_parse(struct label_list *list, const char *bytes, size_t length, struct error *err);

/* The names of a model that brings none in config.json: FOLDER/labels.txt; without it, for 1000
 * classes, the ImageNet-1k names in FOLDER/../labels, the installed ones, or those of the source
 * tree that the program was built in; else "class 0" and so on. `list` starts zeroed. ERR_IO,
 * ERR_MODEL_INVALID (also if there are not exactly `classes`), ERR_NO_MEMORY. */
int labels_find(struct label_list *list, const char *folder, size_t classes, struct error *err);

#endif
