/* Files of a model folder, read whole or in pieces. They are never mapped: a file that is cut short
 * during the read must be an error, not a signal. */
#ifndef RESNEXT_MODEL_FILE_H
#define RESNEXT_MODEL_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"

enum { FILE_PATH_MAX = 4096 };

/* Sets `path` to FOLDER/NAME. ERR_IO if that is too long. */
int file_path(char path[FILE_PATH_MAX], const char *folder, const char *name, struct error *err);

/* Opens a regular file for reading, without ever blocking: a FIFO, a device or a directory is
 * refused. `*status` is that of the file. ERR_IO, also for a missing file. The caller closes `*fd`.
 */
int file_open(const char *path, int *fd, struct stat *status, struct error *err);

/* Fills `buffer` with `length` bytes from `offset`. ERR_IO if the file ends before. `path` is for
 * the message. */
int file_read_at(int fd, const char *path, void *buffer, size_t length, uint64_t offset,
                 struct error *err);

/* Reads a whole file of at most `limit` bytes and adds a NUL. `*bytes` belongs to the caller
 * (free). ERR_IO, ERR_MODEL_INVALID if it is larger, ERR_NO_MEMORY. */
int file_read_all(const char *path, size_t limit, char **bytes, size_t *length, struct error *err);

#endif
