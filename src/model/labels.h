/* Names of the classes. */
#ifndef RESNEXT_MODEL_LABELS_H
#define RESNEXT_MODEL_LABELS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "model/file.h"

/* The longest name, in bytes, the largest file that is read and all names together, and the most
 * names. */
enum {
    LABEL_MAX = 1024,
    LABELS_FILE_MAX = 16 << 20,
    MODEL_CLASSES_MAX = 1 << 17,
};

/* Names in order of class id. Starts zeroed. */
struct label_list {
    char **names;
    size_t count, capacity, bytes;
};

/* Appends a copy of `length` bytes without the blanks at both ends: 1 to LABEL_MAX bytes of UTF-8
 * without control characters and others that nobody sees, at most MODEL_CLASSES_MAX times and
 * LABELS_FILE_MAX bytes in all.
 * ERR_MODEL_INVALID, ERR_NO_MEMORY. */
int label_list_add(struct label_list *list, const char *name, size_t length, struct error *err);

/* Appends "class N", N being the class id, until there are `count` names. ERR_NO_MEMORY. */
int label_list_number(struct label_list *list, size_t count, struct error *err);
void label_list_destroy(struct label_list *list);

/* One name a line; the line end is LF or CR LF and may be missing after the last; a byte order mark
 * and blank lines at the end are passed over. Appends to `list`, which stays to be destroyed on
 * failure. ERR_MODEL_INVALID names the line. */
int labels_parse(struct label_list *list, const char *bytes, size_t length, struct error *err);

/* The same with a file of at most LABELS_FILE_MAX bytes, which the message names. ERR_IO. */
int labels_read_file(struct label_list *list, const char *path, struct error *err);

/* Where a file of ImageNet's classes lies for a model's folder: FOLDER/../labels, the installed
 * ones, or those of the source tree that the program was built in. False if nowhere. */
bool labels_find_file(char path[FILE_PATH_MAX], const char *folder, const char *name);

/* Where a model's names come from. */
enum label_source {
    LABELS_OF_CONFIG,
    LABELS_OF_FILE,     /* labels.txt */
    LABELS_OF_IMAGENET, /* a guess by the number of classes */
    LABELS_NUMBERED,
};

/* "config.json", "labels.txt", "imagenet-1k", "numbers". */
const char *label_source_name(enum label_source source);

/* Whether it is the name that Hugging Face gives to a class without one: LABEL_3. */
bool label_is_default(const char *name, size_t class_id);

/* Whether there are names, and all are such. */
bool labels_are_defaults(const struct label_list *list);

/* Whether there is a FOLDER/labels.txt, which knows better than those. */
bool labels_has_file(const char *folder);

/* The names of a model that brings none in config.json: FOLDER/labels.txt, any number of them;
 * without it, for 1000 classes, the ImageNet-1k names (labels_find_file); else "class 0" and so on.
 * `unread` is a key of config.json that seems to name them, or "": without a labels.txt it is
 * refused, as are other files in FOLDER that seem to. `list` starts zeroed. ERR_IO,
 * ERR_MODEL_INVALID, ERR_NO_MEMORY. */
int labels_find(struct label_list *list, const char *folder, const char *unread, size_t classes,
                enum label_source *source, struct error *err);

#endif
