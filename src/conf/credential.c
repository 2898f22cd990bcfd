#include "conf/credential.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

static int read_bytes(struct text *text, int fd, const char *path, size_t limit, struct error *err)
{
    text->bytes = malloc(limit + 2);
    if (!text->bytes)
        return error_set(err, ERR_NO_MEMORY, "no memory for the configuration");
    text->length = limit + 1; /* to be wiped, however far it gets */
    ssize_t n = file_read(fd, text->bytes, limit + 1, 0);
    if (n < 0)
        return error_set(err, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    text->length = (size_t)n;
    text->bytes[n] = '\0';
    return text->length <= limit
               ? ERR_OK
               : error_set(err, ERR_CONFIG, "%s has more than %zu bytes; is it the right file?",
                           path, limit);
}

int text_read(struct text *text, const char *path, size_t limit, struct error *err)
{
    struct stat status;
    int fd = file_open_regular(path, &status);
    *text = (struct text){0};
    if (fd < 0)
        return errno ? error_set(err, ERR_IO, "cannot open %s: %s", path, strerror(errno))
                     : error_set(err, ERR_CONFIG, "%s is not a regular file", path);
    text->mode = status.st_mode;
    int code = read_bytes(text, fd, path, limit, err);
    close(fd);
    if (code != ERR_OK)
        text_free(text);
    return code;
}

void text_warn_if_public(const struct text *text, const char *name)
{
    if (text->mode & S_IROTH)
        log_warning("%s can be read by everybody; chmod o-r it, and if the service's user cannot "
                    "read it then, let systemd hand it over (LoadCredential=, credential:NAME)",
                    name);
}

void text_free(struct text *text)
{
    if (text->bytes)
        explicit_bzero(text->bytes, text->length);
    free(text->bytes);
    *text = (struct text){0};
}

int text_resolve(char path[PATH_MAX], const char *key, const char *value, struct error *err)
{
    static const char prefix[] = "credential:";
    const char *name = value + sizeof prefix - 1, *folder = getenv("CREDENTIALS_DIRECTORY");
    int length;
    if (strncmp(value, prefix, sizeof prefix - 1) != 0) {
        length = snprintf(path, PATH_MAX, "%s", value);
    } else {
        if (!*name || strchr(name, '/') || name[0] == '.')
            return error_set(err, ERR_CONFIG, "%s = \"%.100s\": a credential is a file name", key,
                             value);
        if (!folder)
            return error_set(err, ERR_CONFIG,
                             "%s = \"%.100s\": systemd gave no credentials; add LoadCredential= to "
                             "the unit",
                             key, value);
        length = snprintf(path, PATH_MAX, "%s/%s", folder, name);
    }
    return length < PATH_MAX ? ERR_OK : error_set(err, ERR_CONFIG, "%s: the path is too long", key);
}
