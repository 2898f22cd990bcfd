#include "conf/options.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "conf/listen.h"

static const char isa_choices[] = "auto"
#define ISA(name, needs) "|" #name
#include "kernel/kernels.def"
    ;

const struct conf_option conf_options[CONF_OPTION_COUNT] = {
#define KERNEL_ISAS isa_choices
#define INTEGER(name, then, first, low, high, measure, text)                                       \
    [CONF_OPTION_##name] = {.key = #name,                                                          \
                            .type = CONF_INTEGER,                                                  \
                            .when = CONF_WHEN_##then,                                              \
                            .offset = offsetof(struct conf, name),                                 \
                            .initial = first,                                                      \
                            .min = low,                                                            \
                            .max = high,                                                           \
                            .unit = measure,                                                       \
                            .help = text},
#define CHOICE(name, then, first, words, text)                                                     \
    [CONF_OPTION_##name] = {.key = #name,                                                          \
                            .type = CONF_CHOICE,                                                   \
                            .when = CONF_WHEN_##then,                                              \
                            .offset = offsetof(struct conf, name),                                 \
                            .initial_text = first,                                                 \
                            .choices = words,                                                      \
                            .help = text},
#define TEXT(name, then, text)                                                                     \
    [CONF_OPTION_##name] = {.key = #name,                                                          \
                            .type = CONF_TEXT,                                                     \
                            .when = CONF_WHEN_##then,                                              \
                            .offset = offsetof(struct conf, name),                                 \
                            .help = text},
#define TEXT_LIST(name, then, first, text)                                                         \
    [CONF_OPTION_##name] = {.key = #name,                                                          \
                            .type = CONF_TEXT_LIST,                                                \
                            .when = CONF_WHEN_##then,                                              \
                            .offset = offsetof(struct conf, name),                                 \
                            .initial_text = sizeof first > 1 ? first : NULL,                       \
                            .help = text},
#include "conf/options.def"
#undef INTEGER
#undef CHOICE
#undef TEXT
#undef TEXT_LIST
};

const struct conf_option *conf_option_find(const char *key)
{
    for (size_t i = 0; i < CONF_OPTION_COUNT; i++)
        if (strcmp(conf_options[i].key, key) == 0)
            return &conf_options[i];
    return NULL;
}

static void *value_of(struct conf *conf, const struct conf_option *option, enum conf_type type)
{
    CHECK(option->type == type);
    return (char *)conf + option->offset;
}

int64_t *conf_integer_of(struct conf *conf, const struct conf_option *option)
{
    return value_of(conf, option, CONF_INTEGER);
}

int *conf_choice_of(struct conf *conf, const struct conf_option *option)
{
    return value_of(conf, option, CONF_CHOICE);
}

char **conf_text_of(struct conf *conf, const struct conf_option *option)
{
    return value_of(conf, option, CONF_TEXT);
}

struct text_list *conf_list_of(struct conf *conf, const struct conf_option *option)
{
    return value_of(conf, option, CONF_TEXT_LIST);
}

int conf_set_integer(struct conf *conf, const struct conf_option *option, int64_t value,
                     struct error *err)
{
    if (value < option->min || value > option->max)
        return error_set(err, ERR_CONFIG,
                         "%s is out of range; it must be %" PRId64 " to %" PRId64 " %s",
                         option->key, option->min, option->max, option->unit);
    *conf_integer_of(conf, option) = value;
    return ERR_OK;
}

static int set_integer_text(struct conf *conf, const struct conf_option *option, const char *text,
                            struct error *err)
{
    char *end;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || (unsigned char)*text <= ' ')
        return error_set(err, ERR_CONFIG,
                         "%s is \"%.60s\"; it must be a whole number, %" PRId64 " to %" PRId64
                         " %s",
                         option->key, text, option->min, option->max, option->unit);
    return conf_set_integer(conf, option, value, err);
}

/* The index of `word` in "one|two", or -1. */
static int choice_index(const char *choices, const char *word)
{
    size_t length = strlen(word);
    int index = 0;
    for (const char *s = choices;; s++, index++) {
        size_t n = strcspn(s, "|");
        if (n == length && memcmp(s, word, n) == 0)
            return index;
        s += n;
        if (*s == '\0')
            return -1;
    }
}

static int set_choice(struct conf *conf, const struct conf_option *option, const char *text,
                      struct error *err)
{
    int index = choice_index(option->choices, text);
    if (index < 0)
        return error_set(err, ERR_CONFIG, "%s is \"%.60s\"; it must be one of %s", option->key,
                         text, option->choices);
    *conf_choice_of(conf, option) = index;
    return ERR_OK;
}

static int list_append(struct text_list *list, const char *text, struct error *err)
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

static int add_to_list(struct conf *conf, const struct conf_option *option, const char *text,
                       struct error *err)
{
    struct text_list *list = conf_list_of(conf, option);
    struct listen_address address;
    /* Every list is one of addresses. */
    if (conf_parse_listen(text, &address, err) != ERR_OK)
        return error_prefix(err, ERR_CONFIG, "%s", option->key);
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], text) == 0)
            return error_set(err, ERR_CONFIG, "%s has \"%.100s\" twice", option->key, text);
    return list_append(list, text, err);
}

static int set_text(struct conf *conf, const struct conf_option *option, const char *text,
                    struct error *err)
{
    char **value = conf_text_of(conf, option), *copy = NULL;
    if (*text && !(copy = strdup(text)))
        return error_set(err, ERR_NO_MEMORY, "no memory for the configuration");
    free(*value);
    *value = copy;
    return ERR_OK;
}

int conf_set_text(struct conf *conf, const struct conf_option *option, const char *text,
                  struct error *err)
{
    switch (option->type) {
    case CONF_INTEGER:
        return set_integer_text(conf, option, text, err);
    case CONF_CHOICE:
        return set_choice(conf, option, text, err);
    case CONF_TEXT:
        return set_text(conf, option, text, err);
    case CONF_TEXT_LIST:
        break;
    }
    return add_to_list(conf, option, text, err);
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
            code = conf_set_integer(conf, option, option->initial, err);
        else if (option->initial_text)
            code = conf_set_text(conf, option, option->initial_text, err);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

/* conf_choice needs each word with its own end: copies of the choices. */
enum { CHOICES_BYTES = 128 };
static char words[CONF_OPTION_COUNT][CHOICES_BYTES];
static pthread_once_t words_once = PTHREAD_ONCE_INIT;

static void split_words(void)
{
    for (size_t i = 0; i < CONF_OPTION_COUNT; i++) {
        if (conf_options[i].type != CONF_CHOICE)
            continue;
        CHECK(strlen(conf_options[i].choices) < CHOICES_BYTES);
        strcpy(words[i], conf_options[i].choices);
        for (char *s = words[i]; (s = strchr(s, '|'));)
            *s++ = '\0';
    }
}

const char *conf_choice(const char *key, int index)
{
    const struct conf_option *option = conf_option_find(key);
    CHECK(option && option->type == CONF_CHOICE && index >= 0);
    pthread_once(&words_once, split_words);
    const char *word = words[option - conf_options];
    const char *end = word + strlen(option->choices);
    for (; index > 0; index--) {
        word += strlen(word) + 1;
        CHECK(word < end);
    }
    return word;
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

int conf_unknown_key(const char *key, const char *const *extra, char separator, struct error *err)
{
    const char *nearest = conf_nearest_key(key, extra);
    if (!nearest)
        return error_set(err, ERR_CONFIG, "unknown key \"%.60s\"; --help lists all", key);
    char suggestion[64];
    snprintf(suggestion, sizeof suggestion, "%s", nearest);
    for (char *s = suggestion; *s; s++)
        if (*s == '_')
            *s = separator;
    return error_set(err, ERR_CONFIG, "unknown key \"%.60s\"; did you mean \"%s\"?", key,
                     suggestion);
}
