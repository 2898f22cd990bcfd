/* Regular files, opened and read without ever blocking. */
#ifndef RESNEXT_BASE_FILE_H
#define RESNEXT_BASE_FILE_H

#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Opens a regular file for reading; the caller closes it. -1 with errno, which is 0 if the path is
 * that of something else: `status` then says of what. */
int file_open_regular(const char *path, struct stat *status);

/* Reads `length` bytes from `offset`, or from where a stream stands if `offset` is FILE_STREAM.
 * How many it got, fewer only at the end of the file; -1 with errno. */
enum { FILE_STREAM = -1 };
ssize_t file_read(int fd, void *buffer, size_t length, off_t offset);

#endif
