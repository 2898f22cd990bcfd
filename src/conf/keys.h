/* API keys: a file of SHA-256 sums, so that a reader of the file does not get the keys. Each line
 * has one key: 64 hexadecimal digits, then optionally a name for the log. Empty lines and lines
 * that begin with '#' are ignored. */
#ifndef RESNEXT_CONF_KEYS_H
#define RESNEXT_CONF_KEYS_H

#include <stddef.h>

#include "base/error.h"

enum { KEY_DIGEST = 32, KEY_NAME_MAX = 64, KEY_SHORTEST = 16, KEY_LONGEST = 1024 };

struct key {
    unsigned char digest[KEY_DIGEST];
    char name[KEY_NAME_MAX + 1]; /* "": none */
};

struct key_list {
    struct key *keys;
    size_t count;
};

/* Reads a file; warns in the log if everybody may read it. ERR_CONFIG with the line, also if it has
 * no key; ERR_IO, ERR_NO_MEMORY. To be freed also after a failure. */
int keys_read(struct key_list *list, const char *path, struct error *err);

/* The same with the text of a file, which is modified; `name` stands in messages. */
int keys_parse(struct key_list *list, char *text, size_t length, const char *name,
               struct error *err);
void keys_free(struct key_list *list);

/* The entry of a key that a client sent, or NULL. The time it takes does not depend on whether or
 * where the key is found. */
const struct key *keys_find(const struct key_list *list, const char *shown);

/* Reads a key from standard input, without its line feed, and prints its line. ERR_CONFIG if it is
 * too short to be safe, or too long. */
int keys_hash_input(struct error *err);

#endif
