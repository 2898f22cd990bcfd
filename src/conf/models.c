#include "conf/models.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/options.h"

/* A precision, until all is read. */
#define NOT_SAID PRECISION_COUNT

#define NAME_RULE "a letter, then letters, digits, '_' and '-', at most 64"
static const char installed_name[] = "resnext29-cifar10";
static const char installed_path[] = PKGDATADIR "/models/resnext29-cifar10";

static bool is_name_character(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-';
}

bool conf_model_name_is_valid(const char *name, size_t length)
{
    size_t valid = 0;
    while (valid < length && is_name_character(name[valid]))
        valid++;
    return length > 0 && length <= CONF_MODEL_NAME_MAX && valid == length &&
           isalpha((unsigned char)name[0]);
}

static int check_model(const struct conf *conf, const char *name, const char *path, bool is_default,
                       struct error *err)
{
    if (!conf_model_name_is_valid(name, strlen(name)))
        return error_set(err, ERR_CONFIG, "model name \"%.80s\" is not valid: " NAME_RULE, name);
    if (path[0] == '\0')
        return error_set(err, ERR_CONFIG, "model %s has no path", name);
    for (size_t i = 0; i < conf->model_count; i++) {
        if (strcmp(conf->models[i].name, name) == 0)
            return error_set(err, ERR_CONFIG, "there are two models called %s; name one otherwise",
                             name);
        if (is_default && conf->models[i].is_default)
            return error_set(err, ERR_CONFIG, "models %s and %s are both the default",
                             conf->models[i].name, name);
    }
    return ERR_OK;
}

/* A copy of the configuration's option is set as a text like any other. */
static int read_precision(const char *text, enum precision *precision, struct error *err)
{
    struct conf scratch = {0};
    *precision = NOT_SAID;
    if (!text)
        return ERR_OK;
    int code = conf_set_text(&scratch, &conf_options[CONF_OPTION_precision], CONF_FILE, text, err);
    *precision = scratch.precision;
    return code;
}

int conf_models_add(struct conf *conf, const char *name, const char *path, const char *precision,
                    bool is_default, struct error *err)
{
    enum precision precision_read;
    int code = check_model(conf, name, path, is_default, err);
    if (code == ERR_OK)
        code = read_precision(precision, &precision_read, err);
    if (code != ERR_OK)
        return code;
    struct conf_model *models = reallocarray(conf->models, conf->model_count + 1, sizeof *models);
    if (models)
        conf->models = models;
    struct conf_model model = {strdup(name), strdup(path), precision_read, is_default};
    if (!models || !model.name || !model.path) {
        free(model.name);
        free(model.path);
        return error_set(err, ERR_NO_MEMORY, "no memory for the configuration");
    }
    models[conf->model_count++] = model;
    return ERR_OK;
}

/* The name of a folder: its last component, what a name may not have replaced by '_'. */
static int add_folder(struct conf *conf, const char *path, struct error *err)
{
    char name[CONF_MODEL_NAME_MAX + 1] = "";
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    if (end - begin <= CONF_MODEL_NAME_MAX)
        memcpy(name, path + begin, end - begin);
    for (char *s = name; *s; s++)
        if (!is_name_character(*s))
            *s = '_';
    if (!isalpha((unsigned char)name[0]))
        return error_set(err, ERR_CONFIG,
                         "no model name can be made from \"%.100s\"; write NAME=%.100s", path,
                         path);
    return conf_models_add(conf, name, path, NULL, false, err);
}

int conf_models_add_text(struct conf *conf, const char *text, struct error *err)
{
    size_t length = strcspn(text, "=");
    if (text[length] != '=' || !conf_model_name_is_valid(text, length))
        return add_folder(conf, text, err);
    char name[CONF_MODEL_NAME_MAX + 1] = "";
    memcpy(name, text, length);
    return conf_models_add(conf, name, text + length + 1, NULL, false, err);
}

void conf_models_clear(struct conf *conf)
{
    for (size_t i = 0; i < conf->model_count; i++) {
        free(conf->models[i].name);
        free(conf->models[i].path);
    }
    free(conf->models);
    conf->models = NULL;
    conf->model_count = 0;
}

int conf_models_complete(struct conf *conf, struct error *err)
{
    bool has_default = false;
    if (conf->model_count == 0) {
        int code = conf_models_add(conf, installed_name, installed_path, NULL, true, err);
        if (code != ERR_OK)
            return code;
    }
    for (size_t i = 0; i < conf->model_count; i++) {
        struct conf_model *model = &conf->models[i];
        has_default |= model->is_default;
        if (model->precision == NOT_SAID)
            model->precision = conf->precision;
    }
    if (!has_default)
        conf->models[0].is_default = true;
    return ERR_OK;
}

int conf_models_check(const struct conf *conf, struct error *err)
{
    bool is_installed = conf->model_count > 1 ||
                        strcmp(conf->models[0].path, installed_path) != 0 ||
                        access(installed_path, F_OK) == 0;
    return is_installed ? ERR_OK
                        : error_set(err, ERR_CONFIG,
                                    "no model is named, and none is installed in %s; name one with "
                                    "--model DIR, or with models in the file",
                                    installed_path);
}
