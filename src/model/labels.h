/* Names of the classes. */
#ifndef RESNEXT_MODEL_LABELS_H
#define RESNEXT_MODEL_LABELS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "model/file.h"

/* The maximum size of a name, of a file and of all names together, in bytes, and the maximum number
 * of names. */
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

/* Appends a copy of `length` bytes without the blanks at both ends. A name has 1 to LABEL_MAX bytes
 * of UTF-8 and no control or invisible characters; a list has at most MODEL_CLASSES_MAX names and
 * LABELS_FILE_MAX bytes. ERR_MODEL_INVALID, ERR_NO_MEMORY. */
int label_list_add(struct label_list *list, const char *name, size_t length, struct error *err);

/* Appends "class N", N being the class id, until there are `count` names. ERR_NO_MEMORY. */
int label_list_number(struct label_list *list, size_t count, struct error *err);
void label_list_destroy(struct label_list *list);

/* Appends the names of a text with one name per line. Lines end with LF or CR LF, which may be
 * missing after the last. A byte order mark and blank lines at the end are skipped. The caller
 * destroys `list` on failure, too. ERR_MODEL_INVALID; the message names the line. */
int labels_parse(struct label_list *list, const char *bytes, size_t length, struct error *err);

/* The same for a file of at most LABELS_FILE_MAX bytes. The message names it. ERR_IO, too. */
int labels_read_file(struct label_list *list, const char *path, struct error *err);

/* Finds a file of ImageNet's classes for a model's folder: in FOLDER/../labels, in the installed
 * labels, or in those of the source tree where the program was built. False if there is none. */
bool labels_find_file(char path[FILE_PATH_MAX], const char *folder, const char *name);

/* The source of a model's names. */
enum label_source {
    LABELS_OF_CONFIG,
    LABELS_OF_FILE,     /* labels.txt */
    LABELS_OF_IMAGENET, /* a guess by the number of classes */
    LABELS_NUMBERED,
};

/* "config.json", "labels.txt", "imagenet-1k", "numbers". */
const char *label_source_name(enum label_source source);

/* Whether `name` is Hugging Face's default for a class without a name, such as LABEL_3. */
bool label_is_default(const char *name, size_t class_id);

/* Whether there are names and all of them are such defaults. */
bool labels_are_defaults(const struct label_list *list);

/* Whether there is a FOLDER/labels.txt, which takes precedence over defaults. */
bool labels_has_file(const char *folder);

/* Finds the names of a model without names in config.json: FOLDER/labels.txt, whatever their
 * number; without it, for 1000 classes, the ImageNet-1k names (labels_find_file); else "class 0"
 * and so on. `unread` is a key of config.json that seems to name the classes, or "". Without a
 * labels.txt such a key is refused, and so is another file in FOLDER that seems to name them.
 * `list` starts zeroed. ERR_IO, ERR_MODEL_INVALID, ERR_NO_MEMORY. */
int labels_find(struct label_list *list, const char *folder, const char *unread, size_t classes,
                enum label_source *source, struct error *err);

#endif
