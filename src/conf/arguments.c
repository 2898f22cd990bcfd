#include "conf/arguments.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "conf/models.h"
#include "conf/options.h"
#include "conf/service_links.h"

enum { KEY_MAX = 64 };
static const char variable_prefix[] = "RESNEXTD_";

/* Names that are no options. */
static const char *const other_names[] = {"config",       "model", "check_config", "print_config",
                                          "hash_api_key", "help",  "version",      NULL};
static const char *const model_name[] = {"model", NULL};

static const struct {
    const char *name;
    enum conf_action action;
} actions[] = {
    {"check_config", CONF_CHECK}, {"print_config", CONF_PRINT}, {"hash_api_key", CONF_HASH},
    {"help", CONF_HELP},          {"version", CONF_VERSION},
};

/* One --key value or --key=value. */
struct argument {
    const char *text;  /* as given */
    const char *value; /* NULL for a flag */
    char key[KEY_MAX]; /* with underscores */
};

static bool find_action(const char *key, enum conf_action *action)
{
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (strcmp(actions[i].name, key) != 0)
            continue;
        *action = actions[i].action;
        return true;
    }
    return false;
}

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

static bool is_known(const char *key)
{
    bool known = conf_option_find(key);
    for (const char *const *name = other_names; *name; name++)
        known = known || strcmp(*name, key) == 0;
    return known;
}

/* Reads the argument at argv[*i] and its value, and moves *i to the next. */
static int next_argument(struct argument *argument, int *i, int argc, char *const *argv,
                         struct error *err)
{
    const char *text = argv[(*i)++];
    *argument = (struct argument){.text = text};
    if (strncmp(text, "--", 2) != 0 || !to_key(argument->key, text + 2, strcspn(text + 2, "=")))
        return error_set(err, ERR_CONFIG, "\"%.100s\" is no option; --help lists all", text);
    if (!is_known(argument->key)) {
        int code = conf_unknown_key(argument->key, other_names, '-', err);
        return error_prefix(err, code, "%.100s", text);
    }
    enum conf_action action;
    const char *equals = strchr(text, '=');
    if (find_action(argument->key, &action))
        return equals ? error_set(err, ERR_CONFIG, "%.100s: this option takes no value", text)
                      : ERR_OK;
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
        find_action(argument.key, &request->action);
        if (strcmp(argument.key, "config") == 0)
            request->file = argument.value;
    }
    return ERR_OK;
}

/* Sets one option from a source. The first value that the source has for a list replaces what
 * stands there; `seen` remembers. */
static int set_from_source(struct conf *conf, const struct conf_option *option, const char *value,
                           bool seen[CONF_OPTION_COUNT], struct error *err)
{
    bool *again = &seen[option - conf_options];
    if (option->type == CONF_TEXT_LIST && !*again)
        conf_list_clear(conf_list_of(conf, option));
    *again = true;
    return conf_set_text(conf, option, value, err);
}

static int add_model(struct conf *conf, const char *value, bool *seen, struct error *err)
{
    if (!*seen)
        conf_models_clear(conf);
    *seen = true;
    return conf_models_add_text(conf, value, err);
}

int conf_read_arguments(struct conf *conf, int argc, char *const *argv, struct error *err)
{
    bool seen[CONF_OPTION_COUNT] = {false}, model_seen = false;
    for (int i = 1; i < argc;) {
        struct argument argument;
        int code = next_argument(&argument, &i, argc, argv, err);
        if (code != ERR_OK)
            return code;
        const struct conf_option *option = conf_option_find(argument.key);
        if (option)
            code = set_from_source(conf, option, argument.value, seen, err);
        else if (strcmp(argument.key, "model") == 0)
            code = add_model(conf, argument.value, &model_seen, err);
        if (code != ERR_OK)
            return error_prefix(err, code, "--%.*s", (int)strcspn(argument.text + 2, "="),
                                argument.text + 2);
    }
    return ERR_OK;
}

/* The values of a variable: one, or for a list those between blanks. */
static int set_from_variable(struct conf *conf, const struct conf_option *option, char *value,
                             struct error *err)
{
    static const char blanks[] = " \t\n";
    bool seen[CONF_OPTION_COUNT] = {false}, model_seen = false;
    if (option && option->type != CONF_TEXT_LIST)
        return conf_set_text(conf, option, value, err);
    char *rest = NULL, *word = strtok_r(value, blanks, &rest);
    if (!word)
        return error_set(err, ERR_CONFIG, "there is no value");
    int code = ERR_OK;
    for (; code == ERR_OK && word; word = strtok_r(NULL, blanks, &rest))
        code = option ? set_from_source(conf, option, word, seen, err)
                      : add_model(conf, word, &model_seen, err);
    return code;
}

static int read_variable(struct conf *conf, const char *key, const char *value, struct error *err)
{
    const struct conf_option *option = conf_option_find(key);
    if (!option && strcmp(key, "model") != 0)
        return conf_nearest_key(key, model_name) ? conf_unknown_key(key, model_name, '_', err)
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
            return error_prefix(err, code, "%.*s", (int)(length < 100 ? length : 100), text);
    }
    return ERR_OK;
}
