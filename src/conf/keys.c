#include "conf/keys.h"

#include <ctype.h>
#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "conf/credential.h"

enum { FILE_MAX = 1 << 20 };

static void digest(unsigned char out[KEY_DIGEST], const char *key)
{
    struct sha256_ctx context;
    sha256_init(&context);
    sha256_update(&context, strlen(key), (const uint8_t *)key);
    sha256_digest(&context, KEY_DIGEST, out);
    explicit_bzero(&context, sizeof context);
}

static bool read_name(char out[KEY_NAME_MAX + 1], const char *text)
{
    text += strspn(text, " \t");
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    if (length > KEY_NAME_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("._-@", text[i]))
            return false;
    memcpy(out, text, length);
    out[length] = '\0';
    return true;
}

/* "DIGEST" or "DIGEST NAME". */
static bool read_line(struct key *key, const char *line)
{
    return hex_parse(line, key->digest, KEY_DIGEST) &&
           (!line[2 * KEY_DIGEST] || isspace((unsigned char)line[2 * KEY_DIGEST])) &&
           read_name(key->name, line + 2 * KEY_DIGEST);
}

static int append(struct key_list *list, const struct key *key, struct error *err)
{
    struct key *keys = reallocarray(list->keys, list->count + 1, sizeof *keys);
    if (!keys)
        return error_set(err, ERR_NO_MEMORY, "no memory for the keys");
    list->keys = keys;
    keys[list->count++] = *key;
    return ERR_OK;
}

static int read_lines(struct key_list *list, char *text, const char *path, struct error *err)
{
    int number = 0;
    for (char *line; (line = strsep(&text, "\n"));) {
        struct key key;
        number++;
        line += strspn(line, " \t\r");
        if (*line == '\0' || *line == '#')
            continue;
        /* The line itself is not quoted: somebody may have put the key there. */
        if (!read_line(&key, line))
            return error_set(err, ERR_CONFIG,
                             "%s:%d: not a line of resnextd --hash-api-key: 64 hexadecimal digits, "
                             "then perhaps a name of letters, digits and ._-@",
                             path, number);
        int code = append(list, &key, err);
        if (code != ERR_OK)
            return code;
    }
    return list->count > 0
               ? ERR_OK
               : error_set(err, ERR_CONFIG, "%s has no key: nobody could use this server", path);
}

int keys_parse(struct key_list *list, char *text, size_t length, const char *name,
               struct error *err)
{
    *list = (struct key_list){0};
    if (memchr(text, '\0', length))
        return error_set(err, ERR_CONFIG, "%s: there is a NUL byte; this is no text file", name);
    return read_lines(list, text, name, err);
}

int keys_read(struct key_list *list, const char *path, struct error *err)
{
    struct text text;
    *list = (struct key_list){0};
    int code = text_read(&text, path, FILE_MAX, err);
    if (code != ERR_OK)
        return code;
    text_warn_if_public(&text, path);
    code = keys_parse(list, text.bytes, text.length, path, err);
    text_free(&text);
    return code;
}

void keys_free(struct key_list *list)
{
    free(list->keys);
    *list = (struct key_list){0};
}

const struct key *keys_find(const struct key_list *list, const char *shown)
{
    unsigned char wanted[KEY_DIGEST];
    size_t found = list->count;
    digest(wanted, shown);
    for (size_t i = 0; i < list->count; i++) {
        unsigned difference = 0;
        for (size_t b = 0; b < KEY_DIGEST; b++)
            difference |= list->keys[i].digest[b] ^ wanted[b];
        /* All ones if they are the same, else 0. */
        size_t same = (size_t)0 - (size_t)((difference - 1u) >> 31);
        found = (found & ~same) | (i & same);
    }
    return found < list->count ? &list->keys[found] : NULL;
}

int keys_hash_input(struct error *err)
{
    char key[KEY_LONGEST + 2], text[2 * KEY_DIGEST + 1];
    unsigned char hash[KEY_DIGEST];
    size_t length = fread(key, 1, sizeof key - 1, stdin);
    if (ferror(stdin))
        return error_set(err, ERR_IO, "cannot read the key from standard input");
    while (length > 0 && (key[length - 1] == '\n' || key[length - 1] == '\r'))
        length--;
    key[length] = '\0';
    if (length < KEY_SHORTEST || length > KEY_LONGEST)
        return error_set(err, ERR_CONFIG,
                         "a key has %d to %d characters; openssl rand -hex 32 makes a good one",
                         KEY_SHORTEST, KEY_LONGEST);
    for (size_t i = 0; i < length; i++)
        if (key[i] <= ' ' || key[i] > '~')
            return error_set(err, ERR_CONFIG, "a key is one word of ASCII, as headers need it");
    digest(hash, key);
    explicit_bzero(key, sizeof key);
    hex_print(text, hash, KEY_DIGEST);
    puts(text);
    return ERR_OK;
}
