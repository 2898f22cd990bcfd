/* The configuration file. */
#ifndef RESNEXT_CONF_FILE_H
#define RESNEXT_CONF_FILE_H

#include "conf/conf.h"

/* Largest configuration file in bytes. */
enum { CONF_FILE_MAX = 64 << 10 };

/* Reads the regular file at `path` into `conf`. With `may_be_absent`, a missing file is no error.
 * Sets conf->has_settings if there is any setting. ERR_CONFIG with file and line; ERR_IO;
 * ERR_NO_MEMORY. */
int conf_read_file(struct conf *conf, const char *path, bool may_be_absent, struct error *err);

/* The same for text in memory, which need not end with a NUL; `name` stands in messages. */
int conf_read_text(struct conf *conf, const char *name, const char *text, size_t length,
                   struct error *err);

#endif
