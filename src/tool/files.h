/* The files a command works on: operands and directory trees as one list, and their bytes. */
#ifndef RESNEXT_TOOL_FILES_H
#define RESNEXT_TOOL_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct file_entry {
    char *path;          /* "-" is standard input */
    int class_id;        /* what it shows, for evaluation; else 0 */
    const char *problem; /* static text: why it cannot even be tried; NULL if it can */
};

struct file_list {
    struct file_entry *entries;
    size_t count, capacity;
};

/* Adds `path`: itself, or for a directory every *.jpg and *.jpeg (whatever the case) in and below
 * it that is not hidden, sorted by path in byte order; links are followed. A directory without any
 * becomes an entry with a problem. What does not exist is added too: reading it says why.
 * ERR_NO_MEMORY, ERR_IO. */
int files_add(struct file_list *list, const char *path, int class_id, struct error *err);

/* Whether what is found in a directory is passed over: ".", "..", names that begin with a dot, as
 * the "._NAME.jpg" that macOS puts beside a NAME.jpg, and the folders that it and network storage
 * make for themselves. */
bool files_is_hidden(const char *name);

/* Whether a name ends in .jpg or .jpeg, whatever the case. */
bool files_is_jpeg_name(const char *name);

/* Adds `path` itself, without a look at it. ERR_NO_MEMORY. */
int files_append(struct file_list *list, const char *path, int class_id, const char *problem,
                 struct error *err);

/* Harmless on a zeroed list. */
void files_free(struct file_list *list);

/* Bytes of one file, reused from file to file. */
struct file_bytes {
    uint8_t *data;
    size_t length, capacity;
};

/* Reads a regular file, or standard input for "-", of at most `limit` bytes. Never blocks on a FIFO
 * or device: ERR_IO. ERR_BODY_TOO_LARGE, ERR_NO_MEMORY. The message does not repeat the path. */
int files_read(const char *path, size_t limit, struct file_bytes *bytes, struct error *err);

#endif
