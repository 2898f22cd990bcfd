/* Regular files, opened and read without ever blocking. */
#ifndef RESNEXT_BASE_FILE_H
#define RESNEXT_BASE_FILE_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Opens a regular file for reading; the caller closes it. -1 with errno. errno is 0 if the path is
 * not a regular file; `status` then describes it. */
int file_open_regular(const char *path, struct stat *status);

/* Reads `length` bytes from `offset`, or from the current position of a stream if `offset` is
 * FILE_STREAM. Returns the number of bytes, which is smaller only at the end of the file; -1 with
 * errno. */
enum { FILE_STREAM = -1 };
ssize_t file_read(int fd, void *buffer, size_t length, off_t offset);

#endif
