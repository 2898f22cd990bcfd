/* The configuration: command line over environment over file over defaults. */
#ifndef RESNEXT_CONF_CONF_H
#define RESNEXT_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/log.h"
#include "base/picture.h"
#include "kernel/element.h"

struct text_list {
    char **items;
    size_t count;
};

/* Appends a copy of `text`. ERR_NO_MEMORY. */
int conf_list_append(struct text_list *list, const char *text, struct error *err);
bool conf_list_has(const struct text_list *list, const char *text);
void conf_list_clear(struct text_list *list);

/* One entry of the models group: NAME = { path = "..."; precision = "int8"; default = true; }. */
struct conf_model {
    char *name;
    char *path;
    enum precision precision; /* the option's where the model does not say */
    bool is_default;
};

struct conf {
#define INTEGER(key, when, initial, min, max, unit, help) int64_t key;
#define CHOICE(key, when, initial, type, names, help)     type key;
#define TEXT(key, when, help)                             char *key; /* NULL: not set */
#define TEXT_LIST(key, when, initial, help)               struct text_list key;
#include "conf/options.def"
    struct conf_model *models; /* never empty; exactly one is the default */
    size_t model_count;
    char *file;        /* what was to be read */
    bool has_settings; /* and had at least one */
};

enum conf_option_index {
#define INTEGER(key, when, initial, min, max, unit, help) CONF_OPTION_##key,
#define CHOICE(key, when, initial, type, names, help)     CONF_OPTION_##key,
#define TEXT(key, when, help)                             CONF_OPTION_##key,
#define TEXT_LIST(key, when, initial, help)               CONF_OPTION_##key,
#include "conf/options.def"
    CONF_OPTION_COUNT
};

/* What the command line asks for besides options; those before CONF_RUN by --name. */
enum conf_action {
    CONF_CHECK,   /* --check-config */
    CONF_PRINT,   /* --print-config */
    CONF_HASH,    /* --hash-api-key */
    CONF_HELP,    /* --help */
    CONF_VERSION, /* --version */
    CONF_RUN,
    CONF_USAGE, /* nothing: the command line is wrong */
};

/* Reads everything. ERR_CONFIG: the message has file and line (or the variable or argument) and
 * what would be right; `*action` is CONF_USAGE if it is an argument. `*conf` is freed by conf_free
 * also after a failure. */
int conf_load(struct conf *conf, enum conf_action *action, int argc, char *const *argv,
              struct error *err);
void conf_free(struct conf *conf);

/* ERR_CONFIG if the only model is the installed one, and it is not there. */
int conf_models_check(const struct conf *conf, struct error *err);

/* Whether a reload may put `next` in the place of `running`: ERR_CONFIG if the configuration file
 * is not there any more or is empty, as it is while somebody writes it, or no keys would be needed
 * where some are. All are more likely a mishap than meant, and who means them can restart. */
int conf_check_reload(const struct conf *running, const struct conf *next, struct error *err);

/* Names of options. */
struct conf_keys {
    const char *items[CONF_OPTION_COUNT];
    size_t count;
};

/* The options that differ between two configurations but take effect only at a restart; logs each.
 */
struct conf_keys conf_report_restart_only(const struct conf *running, const struct conf *wanted);

/* --help, and the effective configuration in the file's own syntax. */
void conf_print_help(void);
void conf_print(const struct conf *conf);

#endif
