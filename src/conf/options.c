#include "conf/options.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/number.h"
#include "conf/listen.h"
#include "kernel/kernel.h"

/* A CHOICE is stored as an unsigned, which is compatible with every enum without negative values.
 * No other type compiles. */
#define UNSIGNED_NAMES(type, names) _Generic((type)0, unsigned : names)

const struct conf_option conf_options[CONF_OPTION_COUNT] = {
#define OPTION(name, kind, then, text, ...)                                                        \
    [CONF_OPTION_##name] = {.key = #name,                                                          \
                            .type = kind,                                                          \
                            .when = CONF_WHEN_##then,                                              \
                            .offset = offsetof(struct conf, name),                                 \
                            .help = text,                                                          \
                            __VA_ARGS__},
#define INTEGER(name, then, first, low, high, measure, text)                                       \
    OPTION(name, CONF_INTEGER, then, text, .initial = first, .min = low, .max = high,              \
           .unit = measure)
#define CHOICE(name, then, first, kind, words, text)                                               \
    OPTION(name, CONF_CHOICE, then, text, .initial_text = first,                                   \
           .names = UNSIGNED_NAMES(kind, words))
#define TEXT(name, then, text) OPTION(name, CONF_TEXT, then, text, .initial_text = NULL)
#define TEXT_LIST(name, then, first, text)                                                         \
    OPTION(name, CONF_TEXT_LIST, then, text, .initial_text = sizeof first > 1 ? first : NULL)
#include "conf/options.def"
};

const struct conf_option *conf_option_find(const char *key)
{
    for (size_t i = 0; i < CONF_OPTION_COUNT; i++)
        if (strcmp(conf_options[i].key, key) == 0)
            return &conf_options[i];
    return NULL;
}

void *conf_value(struct conf *conf, const struct conf_option *option, enum conf_type type)
{
    CHECK(option->type == type);
    return (char *)conf + option->offset;
}

const char *conf_name(char name[CONF_NAME_MAX], const char *key, enum conf_source source)
{
    static const char *const prefixes[] = {
        [CONF_FILE] = "", [CONF_ARGUMENT] = "--", [CONF_VARIABLE] = "RESNEXTD_"};
    snprintf(name, CONF_NAME_MAX, "%s%.60s", prefixes[source], key);
    for (char *s = name; *s; s++)
        if (source == CONF_ARGUMENT && *s == '_')
            *s = '-';
        else if (source == CONF_VARIABLE)
            *s = (char)toupper((unsigned char)*s);
    return name;
}

int conf_set_integer(struct conf *conf, const struct conf_option *option, enum conf_source source,
                     int64_t value, struct error *err)
{
    char name[CONF_NAME_MAX];
    if (value < option->min || value > option->max)
        return error_set(
            err, ERR_CONFIG, "%s is out of range; it must be %" PRId64 " to %" PRId64 " %s",
            conf_name(name, option->key, source), option->min, option->max, option->unit);
    *(int64_t *)conf_value(conf, option, CONF_INTEGER) = value;
    return ERR_OK;
}

static int set_integer_text(struct conf *conf, const struct conf_option *option,
                            enum conf_source source, const char *text, struct error *err)
{
    char name[CONF_NAME_MAX];
    const char *digits = text + (*text == '-' || *text == '+');
    int64_t value = number_parse(digits, strlen(digits));
    if (value < 0)
        return error_set(
            err, ERR_CONFIG,
            "%s is \"%.60s\"; it must be a whole number, %" PRId64 " to %" PRId64 " %s",
            conf_name(name, option->key, source), text, option->min, option->max, option->unit);
    return conf_set_integer(conf, option, source, *text == '-' ? -value : value, err);
}

void conf_list_names(char text[CONF_NAMES_TEXT], const struct conf_option *option)
{
    size_t length = 0;
    for (size_t i = 0; option->names[i]; i++)
        length += (size_t)snprintf(text + length, CONF_NAMES_TEXT - length, "%s%s", i ? "|" : "",
                                   option->names[i]);
    CHECK(length < CONF_NAMES_TEXT);
}

static int set_choice(struct conf *conf, const struct conf_option *option, enum conf_source source,
                      const char *text, struct error *err)
{
    char name[CONF_NAME_MAX], all[CONF_NAMES_TEXT];
    int index = names_find(option->names, text);
    if (index < 0) {
        conf_list_names(all, option);
        return error_set(err, ERR_CONFIG, "%s is \"%.60s\"; it must be one of %s",
                         conf_name(name, option->key, source), text, all);
    }
    *(unsigned *)conf_value(conf, option, CONF_CHOICE) = (unsigned)index;
    return ERR_OK;
}

int conf_list_append(struct text_list *list, const char *text, struct error *err)
{
    char **items = reallocarray(list->items, list->count + 1, sizeof *items);
    char *copy = strdup(text);
    if (items)
        list->items = items;
    if (!items || !copy) {
        free(copy);
        return error_set(err, ERR_NO_MEMORY, "no memory for the configuration");
    }
    items[list->count++] = copy;
    return ERR_OK;
}

bool conf_list_has(const struct text_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], text) == 0)
            return true;
    return false;
}

static int add_to_list(struct conf *conf, const struct conf_option *option, enum conf_source source,
                       const char *text, struct error *err)
{
    struct text_list *list = conf_value(conf, option, CONF_TEXT_LIST);
    struct listen_address address;
    char name[CONF_NAME_MAX];
    conf_name(name, option->key, source);
    /* Every list is one of addresses. */
    if (conf_parse_listen(text, &address, err) != ERR_OK)
        return error_prefix(err, ERR_CONFIG, "%s", name);
    if (conf_list_has(list, text))
        return error_set(err, ERR_CONFIG, "%s has \"%.100s\" twice", name, text);
    return conf_list_append(list, text, err);
}

static int set_text(struct conf *conf, const struct conf_option *option, const char *text,
                    struct error *err)
{
    char **value = conf_value(conf, option, CONF_TEXT), *copy = NULL;
    if (*text && !(copy = strdup(text)))
        return error_set(err, ERR_NO_MEMORY, "no memory for the configuration");
    free(*value);
    *value = copy;
    return ERR_OK;
}

int conf_set_text(struct conf *conf, const struct conf_option *option, enum conf_source source,
                  const char *text, struct error *err)
{
    switch (option->type) {
    case CONF_INTEGER:
        return set_integer_text(conf, option, source, text, err);
    case CONF_CHOICE:
        return set_choice(conf, option, source, text, err);
    case CONF_TEXT:
        return set_text(conf, option, text, err);
    case CONF_TEXT_LIST:
        break;
    }
    return add_to_list(conf, option, source, text, err);
}

void conf_list_clear(struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct text_list){0};
}

int conf_set_defaults(struct conf *conf, struct error *err)
{
    for (size_t i = 0; i < CONF_OPTION_COUNT; i++) {
        const struct conf_option *option = &conf_options[i];
        int code = ERR_OK;
        if (option->type == CONF_INTEGER)
            code = conf_set_integer(conf, option, CONF_FILE, option->initial, err);
        else if (option->initial_text)
            code = conf_set_text(conf, option, CONF_FILE, option->initial_text, err);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

static size_t min_of(size_t a, size_t b, size_t c)
{
    size_t min = a < b ? a : b;
    return min < c ? min : c;
}

/* Levenshtein's distance. Keys over 63 bytes are nobody's misspelling. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t row[64], n = strlen(b);
    if (strlen(a) > 63 || n > 63)
        return SIZE_MAX;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < n; j++) {
            size_t above = row[j + 1];
            row[j + 1] = min_of(above + 1, row[j] + 1, diagonal + (a[i] != b[j]));
            diagonal = above;
        }
    }
    return row[n];
}

static void keep_nearer(const char *key, const char *candidate, size_t *distance,
                        const char **nearest)
{
    size_t d = edit_distance(key, candidate);
    if (d >= *distance || d > strlen(candidate) / 2)
        return;
    *distance = d;
    *nearest = candidate;
}

const char *conf_nearest_key(const char *key, const char *const *extra)
{
    enum { FARTHEST = 2 };
    const char *nearest = NULL;
    size_t distance = FARTHEST + 1;
    for (size_t i = 0; i < CONF_OPTION_COUNT; i++)
        keep_nearer(key, conf_options[i].key, &distance, &nearest);
    for (; *extra; extra++)
        keep_nearer(key, *extra, &distance, &nearest);
    return nearest;
}

int conf_unknown_key(const char *key, const char *const *extra, enum conf_source source,
                     struct error *err)
{
    static const char *const kinds[] = {
        [CONF_FILE] = "key", [CONF_ARGUMENT] = "option", [CONF_VARIABLE] = "variable"};
    char name[CONF_NAME_MAX], suggestion[CONF_NAME_MAX];
    const char *nearest = conf_nearest_key(key, extra);
    conf_name(name, key, source);
    if (!nearest)
        return error_set(err, ERR_CONFIG, "unknown %s \"%s\"; --help lists all", kinds[source],
                         name);
    return error_set(err, ERR_CONFIG, "unknown %s \"%s\"; did you mean \"%s\"?", kinds[source],
                     name, conf_name(suggestion, nearest, source));
}
