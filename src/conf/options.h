/* The table made from options.def, and the setters that every source of values shares. */
#ifndef RESNEXT_CONF_OPTIONS_H
#define RESNEXT_CONF_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

enum conf_type { CONF_INTEGER, CONF_CHOICE, CONF_TEXT, CONF_TEXT_LIST };

enum conf_when { CONF_WHEN_RELOAD, CONF_WHEN_RELOAD_IF_SET, CONF_WHEN_RESTART };

struct conf_option {
    const char *key;
    enum conf_type type;
    enum conf_when when; /* when a changed value takes effect */
    size_t offset;       /* of the value in struct conf */
    int64_t initial, min, max;
    const char *initial_text; /* of a CHOICE or TEXT_LIST; NULL: not set */
    const char *const *names; /* of a CHOICE, whose value is the index; NULL-terminated */
    const char *unit;
    const char *help;
};

extern const struct conf_option conf_options[CONF_OPTION_COUNT];

/* The option called `key`, or NULL. */
const struct conf_option *conf_option_find(const char *key);

/* A pointer to an option's value: an int64_t, an unsigned (CHOICE), a pointer to text, or a struct
 * text_list. `type` is the option's type, which the caller knows. */
void *conf_value(struct conf *conf, const struct conf_option *option, enum conf_type type);

/* The values of a CHOICE, for --help and messages: "one|two". */
enum { CONF_NAMES_TEXT = 128 };
void conf_list_names(char text[CONF_NAMES_TEXT], const struct conf_option *option);

/* The source of a value, which decides how messages name an option: key, --key or RESNEXTD_KEY. */
enum conf_source { CONF_FILE, CONF_ARGUMENT, CONF_VARIABLE };

/* Writes the name that `source` uses for `key`, cut to fit, and returns `name`. */
enum { CONF_NAME_MAX = 80 };
const char *conf_name(char name[CONF_NAME_MAX], const char *key, enum conf_source source);

/* Sets every option to its default. ERR_NO_MEMORY. */
int conf_set_defaults(struct conf *conf, struct error *err);

/* Sets an INTEGER; ERR_CONFIG if it is out of range. */
int conf_set_integer(struct conf *conf, const struct conf_option *option, enum conf_source source,
                     int64_t value, struct error *err);

/* Sets an INTEGER, CHOICE or TEXT from its text, or appends to a TEXT_LIST (`text` is copied).
 * ERR_CONFIG begins with the source's name of the option, and says what would be right. */
int conf_set_text(struct conf *conf, const struct conf_option *option, enum conf_source source,
                  const char *text, struct error *err);

/* ERR_CONFIG "unknown key ...; did you mean ...", with the nearest key of conf_options or of
 * `extra` (NULL-terminated), named as `source` names it. */
int conf_unknown_key(const char *key, const char *const *extra, enum conf_source source,
                     struct error *err);

/* The key of conf_options or of `extra` that `key` probably misspells, or NULL. */
const char *conf_nearest_key(const char *key, const char *const *extra);

#endif
