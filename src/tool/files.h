/* The files that a command works on, from operands and directory trees, and their bytes. */
#ifndef RESNEXT_TOOL_FILES_H
#define RESNEXT_TOOL_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct file_entry {
    char *path;          /* "-" is standard input */
    int class_id;        /* true class, for evaluation; otherwise 0 */
    const char *problem; /* static text: why it cannot be read; NULL: try it */
};

struct file_list {
    struct file_entry *entries;
    size_t count, capacity;
};

/* Adds a file. Of a directory it adds every *.jpg and *.jpeg (in any case) at any depth that is not
 * hidden, sorted by path in byte order, and follows links. A directory without any becomes an entry
 * with a problem. A path that does not exist is added too; reading it then fails. ERR_NO_MEMORY,
 * ERR_IO. */
int files_add(struct file_list *list, const char *path, int class_id, struct error *err);

/* Whether a directory entry is skipped: its name begins with a dot, as ".", ".." and the
 * "._NAME.jpg" that macOS puts beside a NAME.jpg, or it is an internal folder of macOS or of
 * network storage. */
bool files_is_hidden(const char *name);

/* Whether a name ends in .jpg or .jpeg, in any case. */
bool files_is_jpeg_name(const char *name);

/* Adds `path` without accessing it. ERR_NO_MEMORY. */
int files_append(struct file_list *list, const char *path, int class_id, const char *problem,
                 struct error *err);

/* Frees the entries. A zeroed list is fine. */
void files_free(struct file_list *list);

/* The bytes of a file, in a buffer that is reused for the next file. The caller frees `data`. */
struct file_bytes {
    uint8_t *data;
    size_t length, capacity;
};

/* Reads a regular file, or standard input for "-", of at most `limit` bytes. A FIFO or a device is
 * ERR_IO and never blocks. ERR_BODY_TOO_LARGE, ERR_NO_MEMORY. The message is without the path. */
int files_read(const char *path, size_t limit, struct file_bytes *bytes, struct error *err);

#endif
