#include "model/file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

int file_path(char path[FILE_PATH_MAX], const char *folder, const char *name, struct error *err)
{
    bool fits = snprintf(path, FILE_PATH_MAX, "%s/%s", folder, name) < FILE_PATH_MAX;
    return fits ? ERR_OK : error_set(err, ERR_IO, "the model's path is too long");
}

int file_open(const char *path, int *fd, struct stat *status, struct error *err)
{
    *fd = file_open_regular(path, status);
    if (*fd < 0 && errno == 0)
        return error_set(err, ERR_IO, "%s is not a regular file", path);
    if (*fd < 0)
        return error_set(err, ERR_IO, "cannot open %s: %s%s", path, strerror(errno),
                         errno == EACCES ? "; this user must be able to read it (chmod a+r, and "
                                           "a+x for the folders above)"
                                         : "");
    return ERR_OK;
}

int file_read_at(int fd, const char *path, void *buffer, size_t length, uint64_t offset,
                 struct error *err)
{
    ssize_t n = file_read(fd, buffer, length, (off_t)offset);
    if (n < 0)
        return error_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    if ((size_t)n < length)
        return error_set(err, ERR_IO, "%s became shorter while it was read", path);
    return ERR_OK;
}

int file_read_all(const char *path, size_t limit, char **bytes, size_t *length, struct error *err)
{
    int fd;
    struct stat status;
    *bytes = NULL;
    int code = file_open(path, &fd, &status, err);
    if (code != ERR_OK)
        return code;
    uint64_t size = (uint64_t)status.st_size;
    if (size > limit)
        code = error_set(err, ERR_MODEL_INVALID, "%s has %ju bytes; at most %zu are read", path,
                         (uintmax_t)size, limit);
    else if (!(*bytes = malloc((size_t)size + 1)))
        code = error_set(err, ERR_NO_MEMORY, "no memory for %s", path);
    else
        code = file_read_at(fd, path, *bytes, (size_t)size, 0, err);
    close(fd);
    if (code == ERR_OK) {
        *length = (size_t)size;
        (*bytes)[size] = '\0';
    } else {
        free(*bytes);
        *bytes = NULL;
    }
    return code;
}
