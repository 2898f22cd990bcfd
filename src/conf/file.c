#include "conf/file.h"

#include <errno.h>
#include <libconfig.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/credential.h"
#include "conf/lexer.h"
#include "conf/models.h"
#include "conf/options.h"

static const char *const model_keys[] = {"path", "precision", "default", NULL};
static const char *const group_keys[] = {"models", NULL};

/* One file being read; every message begins with its name and a line. */
struct reader {
    struct conf *conf;
    const char *name;
    struct error *err;
};

static int at_line(const struct reader *reader, const config_setting_t *setting)
{
    return error_prefix(reader->err, ERR_CONFIG, "%s:%u", reader->name,
                        config_setting_source_line(setting));
}

static const char *type_name(const config_setting_t *setting)
{
    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_GROUP:
        return "a group";
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        return "a whole number";
    case CONFIG_TYPE_FLOAT:
        return "a number with a fraction";
    case CONFIG_TYPE_STRING:
        return "a string";
    case CONFIG_TYPE_BOOL:
        return "true or false";
    default:
        return "a list";
    }
}

static int wrong_type(const struct reader *reader, const config_setting_t *setting,
                      const char *wanted)
{
    const char *name = config_setting_name(setting);
    error_set(reader->err, ERR_CONFIG, "%.60s is %s; it must be %s", name ? name : "this item",
              type_name(setting), wanted);
    return at_line(reader, setting);
}

static bool is_string(const config_setting_t *setting)
{
    return config_setting_type(setting) == CONFIG_TYPE_STRING;
}

static bool is_integer(const config_setting_t *setting)
{
    return config_setting_type(setting) == CONFIG_TYPE_INT ||
           config_setting_type(setting) == CONFIG_TYPE_INT64;
}

static int read_string(const struct reader *reader, const struct conf_option *option,
                       const config_setting_t *setting)
{
    const char *text = config_setting_get_string(setting);
    int code = conf_set_text(reader->conf, option, CONF_FILE, text, reader->err);
    return code == ERR_OK ? ERR_OK : at_line(reader, setting);
}

static int read_text_list(const struct reader *reader, const struct conf_option *option,
                          const config_setting_t *setting)
{
    static const char wanted[] = "a list of strings, as in [ \"a\", \"b\" ]";
    conf_list_clear(conf_value(reader->conf, option, CONF_TEXT_LIST));
    if (is_string(setting))
        return read_string(reader, option, setting);
    if (!config_setting_is_array(setting) && !config_setting_is_list(setting))
        return wrong_type(reader, setting, wanted);
    int count = config_setting_length(setting);
    for (int i = 0; i < count; i++) {
        const config_setting_t *item = config_setting_get_elem(setting, (unsigned)i);
        int code = is_string(item) ? read_string(reader, option, item)
                                   : wrong_type(reader, item, "a string");
        if (code != ERR_OK)
            return code;
    }
    if (count > 0 || !option->initial_text)
        return ERR_OK;
    error_set(reader->err, ERR_CONFIG, "%s is empty; it must be %s", option->key, wanted);
    return at_line(reader, setting);
}

static int read_option(const struct reader *reader, const struct conf_option *option,
                       const config_setting_t *setting)
{
    if (option->type == CONF_TEXT_LIST)
        return read_text_list(reader, option, setting);
    if (option->type == CONF_CHOICE || option->type == CONF_TEXT)
        return is_string(setting) ? read_string(reader, option, setting)
                                  : wrong_type(reader, setting, "a string");
    if (!is_integer(setting))
        return wrong_type(reader, setting, "a whole number");
    int code = conf_set_integer(reader->conf, option, CONF_FILE, config_setting_get_int64(setting),
                                reader->err);
    return code == ERR_OK ? ERR_OK : at_line(reader, setting);
}

static int check_model_keys(const struct reader *reader, config_setting_t *model)
{
    int count = config_setting_length(model);
    for (int i = 0; i < count; i++) {
        const config_setting_t *setting = config_setting_get_elem(model, (unsigned)i);
        const char *key = config_setting_name(setting);
        if (names_find(model_keys, key) >= 0)
            continue;
        error_set(reader->err, ERR_CONFIG, "unknown key \"%.60s\"; a model has %s, %s and %s", key,
                  model_keys[0], model_keys[1], model_keys[2]);
        return at_line(reader, setting);
    }
    return ERR_OK;
}

static int read_model(const struct reader *reader, config_setting_t *model)
{
    if (!config_setting_is_group(model))
        return wrong_type(reader, model, "a group, as in { path = \"...\"; }");
    int code = check_model_keys(reader, model);
    if (code != ERR_OK)
        return code;
    const config_setting_t *path = config_setting_get_member(model, model_keys[0]);
    const config_setting_t *precision = config_setting_get_member(model, model_keys[1]);
    const config_setting_t *is_default = config_setting_get_member(model, model_keys[2]);
    if (!path) {
        error_set(reader->err, ERR_CONFIG, "model %.60s has no path", config_setting_name(model));
        return at_line(reader, model);
    }
    if (!is_string(path))
        return wrong_type(reader, path, "a string");
    if (precision && !is_string(precision))
        return wrong_type(reader, precision, "a string");
    if (is_default && config_setting_type(is_default) != CONFIG_TYPE_BOOL)
        return wrong_type(reader, is_default, "true or false");
    code =
        conf_models_add(reader->conf, config_setting_name(model), config_setting_get_string(path),
                        precision ? config_setting_get_string(precision) : NULL,
                        is_default && config_setting_get_bool(is_default), reader->err);
    return code == ERR_OK ? ERR_OK : at_line(reader, model);
}

static int read_models(const struct reader *reader, config_setting_t *group)
{
    if (!config_setting_is_group(group))
        return wrong_type(reader, group, "a group, as in { name = { path = \"...\"; }; }");
    int code = ERR_OK;
    int count = config_setting_length(group);
    for (int i = 0; code == ERR_OK && i < count; i++)
        code = read_model(reader, config_setting_get_elem(group, (unsigned)i));
    return code;
}

static int read_setting(const struct reader *reader, config_setting_t *setting)
{
    const char *key = config_setting_name(setting);
    if (strcmp(key, group_keys[0]) == 0)
        return read_models(reader, setting);
    const struct conf_option *option = conf_option_find(key);
    if (option)
        return read_option(reader, option, setting);
    conf_unknown_key(key, group_keys, CONF_FILE, reader->err);
    return at_line(reader, setting);
}

/* libconfig only reports a syntax error, and the error may be on the line above. */
static const char syntax_hint[] =
    " here or just before: settings are KEY = VALUE, words stand in double quotes, lists in [ ]";

/* libconfig may see an error behind the end, after the newline that conf_read_text adds. */
static int error_line(const config_t *config, const char *text)
{
    int lines = 0, line = config_error_line(config);
    for (; *text; text++)
        lines += *text == '\n';
    return line < lines ? line : lines;
}

static int read_settings(const struct reader *reader, const char *text)
{
    config_t config;
    config_init(&config);
    int code = ERR_OK;
    if (!config_read_string(&config, text)) {
        const char *problem = config_error_text(&config);
        code = error_set(reader->err, ERR_CONFIG, "%s:%d: %s%s", reader->name,
                         error_line(&config, text), problem,
                         strcmp(problem, "syntax error") == 0 ? syntax_hint : "");
    } else {
        config_setting_t *root = config_root_setting(&config);
        int count = config_setting_length(root);
        reader->conf->has_settings = count > 0;
        for (int i = 0; code == ERR_OK && i < count; i++)
            code = read_setting(reader, config_setting_get_elem(root, (unsigned)i));
    }
    config_destroy(&config);
    return code;
}

int conf_read_text(struct conf *conf, const char *name, const char *text, size_t length,
                   struct error *err)
{
    const struct reader reader = {conf, name, err};
    char *copy = malloc(length + sizeof "\n");
    if (!copy)
        return error_set(err, ERR_NO_MEMORY, "no memory for the configuration");
    memcpy(copy, text, length);
    memcpy(copy + length, "\n", sizeof "\n"); /* libconfig knows no comment that ends the file */
    int code = conf_check_tokens(name, copy, length, err);
    if (code == ERR_OK)
        code = read_settings(&reader, copy);
    free(copy);
    return code;
}

int conf_read_file(struct conf *conf, const char *path, bool may_be_absent, struct error *err)
{
    struct text text;
    if (may_be_absent && access(path, F_OK) != 0 && errno == ENOENT)
        return ERR_OK;
    int code = text_read(&text, path, CONF_FILE_MAX, err);
    if (code == ERR_OK)
        code = conf_read_text(conf, path, text.bytes, text.length, err);
    text_free(&text);
    return code;
}
