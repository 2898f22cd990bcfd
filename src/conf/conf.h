/* The configuration. The command line overrides the environment, the environment overrides the
 * file, and the file overrides the defaults. */
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
    enum precision precision; /* the option `precision`, unless the model has its own */
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
    char *file;        /* the configuration file */
    bool has_settings; /* the file has at least one setting */
};

enum conf_option_index {
#define INTEGER(key, when, initial, min, max, unit, help) CONF_OPTION_##key,
#define CHOICE(key, when, initial, type, names, help)     CONF_OPTION_##key,
#define TEXT(key, when, help)                             CONF_OPTION_##key,
#define TEXT_LIST(key, when, initial, help)               CONF_OPTION_##key,
#include "conf/options.def"
    CONF_OPTION_COUNT
};

/* The action that the command line requests. Those before CONF_RUN are options, --name. */
enum conf_action {
    CONF_CHECK,   /* --check-config */
    CONF_PRINT,   /* --print-config */
    CONF_HASH,    /* --hash-api-key */
    CONF_HELP,    /* --help */
    CONF_VERSION, /* --version */
    CONF_RUN,
    CONF_USAGE, /* none: the command line is wrong */
};

/* Reads all sources. ERR_CONFIG: the message names the file and line, the variable or the argument,
 * and the valid values; `*action` is CONF_USAGE if an argument is wrong. conf_free frees `*conf`
 * after a failure, too. */
int conf_load(struct conf *conf, enum conf_action *action, int argc, char *const *argv,
              struct error *err);
void conf_free(struct conf *conf);

/* ERR_CONFIG if the only model is the installed one and it is missing. */
int conf_models_check(const struct conf *conf, struct error *err);

/* Checks whether a reload may replace `running` by `next`. ERR_CONFIG if the configuration file is
 * missing or empty, as it can be while somebody writes it, or if `running` has API keys and `next`
 * has none. Each of these is probably a mistake; a restart accepts them. */
int conf_check_reload(const struct conf *running, const struct conf *next, struct error *err);

/* Names of options. */
struct conf_keys {
    const char *items[CONF_OPTION_COUNT];
    size_t count;
};

/* Returns and logs the options that differ between two configurations but take effect only at a
 * restart. */
struct conf_keys conf_report_restart_only(const struct conf *running, const struct conf *wanted);

/* Print the text of --help, and the effective configuration in the syntax of the file. */
void conf_print_help(void);
void conf_print(const struct conf *conf);

#endif
