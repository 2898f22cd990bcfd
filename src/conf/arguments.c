#include "conf/arguments.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "conf/models.h"
#include "conf/options.h"
#include "conf/service_links.h"

enum { KEY_MAX = 64 };
static const char variable_prefix[] = "RESNEXTD_";

/* Names that are no options: first those of actions, by number. */
static const char *const other_names[] = {[CONF_CHECK] = "check_config",
                                          [CONF_PRINT] = "print_config",
                                          [CONF_HASH] = "hash_api_key",
                                          [CONF_HELP] = "help",
                                          [CONF_VERSION] = "version",
                                          "config",
                                          "model",
                                          NULL};
static const char *const model_name[] = {"model", NULL};

/* One --key value or --key=value. */
struct argument {
    enum conf_action action; /* or CONF_RUN */
    const char *value;       /* NULL for an action */
    char key[KEY_MAX];       /* with underscores */
};

/* Copies `name` up to `length` as a key: '-' becomes '_'. False if it cannot be one. */
static bool to_key(char key[KEY_MAX], const char *name, size_t length)
{
    if (length == 0 || length >= KEY_MAX)
        return false;
    for (size_t i = 0; i < length; i++)
        key[i] = name[i] == '-' ? '_' : name[i];
    key[length] = '\0';
    return true;
}

/* Reads the argument at argv[*i] and its value, and moves *i to the next. */
static int next_argument(struct argument *argument, int *i, int argc, char *const *argv,
                         struct error *err)
{
    const char *text = argv[(*i)++];
    *argument = (struct argument){.action = CONF_RUN};
    if (strcmp(text, "-h") == 0)
        return error_set(err, ERR_CONFIG, "unknown option \"-h\"; use --help");
    if (strncmp(text, "--", 2) != 0 || !to_key(argument->key, text + 2, strcspn(text + 2, "=")))
        return error_set(err, ERR_CONFIG, "\"%.100s\" is not an option; --help lists all", text);
    if (strcmp(argument->key, "port") == 0)
        return error_set(err, ERR_CONFIG, "unknown option \"--port\"; use --listen ADDR:PORT");
    int other = names_find(other_names, argument->key);
    if (other < 0 && !conf_option_find(argument->key))
        return conf_unknown_key(argument->key, other_names, CONF_ARGUMENT, err);
    const char *equals = strchr(text, '=');
    if (other >= 0 && other < CONF_RUN) {
        argument->action = (enum conf_action)other;
        return equals ? error_set(err, ERR_CONFIG, "%.100s: this option takes no value", text)
                      : ERR_OK;
    }
    if (!equals && *i >= argc)
        return error_set(err, ERR_CONFIG, "%.100s: a value is missing", text);
    argument->value = equals ? equals + 1 : argv[(*i)++];
    return ERR_OK;
}

int conf_scan_arguments(struct conf_request *request, int argc, char *const *argv,
                        struct error *err)
{
    *request = (struct conf_request){.action = CONF_RUN};
    for (int i = 1; i < argc;) {
        struct argument argument;
        int code = next_argument(&argument, &i, argc, argv, err);
        if (code != ERR_OK)
            return code;
        if (argument.action != CONF_RUN)
            request->action = argument.action;
        if (strcmp(argument.key, "config") == 0)
            request->file = argument.value;
    }
    return ERR_OK;
}

/* One source of values. Its first value for a list, or for the models, replaces the earlier ones.
 */
struct source {
    enum conf_source kind;
    bool seen[CONF_OPTION_COUNT + 1]; /* by option, the models last */
};

/* Sets an option, or adds a model if `option` is NULL. */
static int set_from_source(struct conf *conf, struct source *source,
                           const struct conf_option *option, const char *value, struct error *err)
{
    char name[CONF_NAME_MAX];
    bool *seen = &source->seen[option ? option - conf_options : CONF_OPTION_COUNT];
    bool is_first = !*seen;
    *seen = true;
    if (option && option->type == CONF_TEXT_LIST && is_first)
        conf_list_clear(conf_value(conf, option, CONF_TEXT_LIST));
    if (option)
        return conf_set_text(conf, option, source->kind, value, err);
    if (is_first)
        conf_models_clear(conf);
    int code = conf_models_add_text(conf, value, err);
    return code == ERR_OK ? ERR_OK
                          : error_prefix(err, code, "%s", conf_name(name, "model", source->kind));
}

int conf_read_arguments(struct conf *conf, int argc, char *const *argv, struct error *err)
{
    struct source source = {.kind = CONF_ARGUMENT};
    for (int i = 1; i < argc;) {
        struct argument argument;
        int code = next_argument(&argument, &i, argc, argv, err);
        if (code != ERR_OK)
            return code;
        const struct conf_option *option = conf_option_find(argument.key);
        if (option || strcmp(argument.key, "model") == 0)
            code = set_from_source(conf, &source, option, argument.value, err);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}

/* The values of a variable: one, or for a list those between blanks. */
static int set_from_variable(struct conf *conf, const struct conf_option *option, char *value,
                             struct error *err)
{
    static const char blanks[] = " \t\n";
    struct source source = {.kind = CONF_VARIABLE};
    char name[CONF_NAME_MAX];
    if (option && option->type != CONF_TEXT_LIST)
        return set_from_source(conf, &source, option, value, err);
    char *rest = NULL, *word = strtok_r(value, blanks, &rest);
    if (!word)
        return error_set(err, ERR_CONFIG, "%s: there is no value",
                         conf_name(name, option ? option->key : "model", CONF_VARIABLE));
    int code = ERR_OK;
    for (; code == ERR_OK && word; word = strtok_r(NULL, blanks, &rest))
        code = set_from_source(conf, &source, option, word, err);
    return code;
}

static int read_variable(struct conf *conf, const char *key, const char *value, struct error *err)
{
    const struct conf_option *option = conf_option_find(key);
    if (!option && strcmp(key, "model") != 0)
        return conf_nearest_key(key, model_name)
                   ? conf_unknown_key(key, model_name, CONF_VARIABLE, err)
                   : ERR_OK;
    char *copy = strdup(value);
    if (!copy)
        return error_set(err, ERR_NO_MEMORY, "no memory for the configuration");
    int code = set_from_variable(conf, option, copy, err);
    free(copy);
    return code;
}

int conf_read_environment(struct conf *conf, char *const *environment, struct error *err)
{
    for (; *environment; environment++) {
        const char *text = *environment;
        size_t prefix = sizeof variable_prefix - 1, length = strcspn(text, "=");
        char key[KEY_MAX];
        if (strncmp(text, variable_prefix, prefix) != 0 || text[length] != '=' ||
            !to_key(key, text + prefix, length - prefix))
            continue;
        for (char *s = key; *s; s++)
            *s = (char)tolower((unsigned char)*s);
        if (conf_is_service_link(key, text + length + 1))
            continue;
        int code = read_variable(conf, key, text + length + 1, err);
        if (code != ERR_OK)
            return code;
    }
    return ERR_OK;
}
