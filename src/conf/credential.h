/* The files that options name, which may hold secrets. */
#ifndef RESNEXT_CONF_CREDENTIAL_H
#define RESNEXT_CONF_CREDENTIAL_H

#include <limits.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/error.h"

/* A file in memory. Wipe and free it with text_free. */
struct text {
    char *bytes; /* with a NUL behind them */
    size_t length;
    mode_t mode;
};

/* Reads a regular file of at most `limit` bytes, without ever blocking. ERR_IO if it cannot be
 * read, ERR_CONFIG if it is no regular file or larger, ERR_NO_MEMORY. */
int text_read(struct text *text, const char *path, size_t limit, struct error *err);
void text_free(struct text *text);

/* Warns if everybody may read a file that holds a secret; `name` is its path in the message. */
void text_warn_if_public(const struct text *text, const char *name);

/* The path that an option stands for. "credential:NAME" is the file NAME in the folder of systemd's
 * credentials (LoadCredential=, CREDENTIALS_DIRECTORY); everything else is the path itself.
 * ERR_CONFIG, with the option's key. */
int text_resolve(char path[PATH_MAX], const char *key, const char *value, struct error *err);

#endif
