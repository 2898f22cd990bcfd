/* The models group. */
#ifndef RESNEXT_CONF_MODELS_H
#define RESNEXT_CONF_MODELS_H

#include "conf/conf.h"

/* Longest name of a model. */
enum { CONF_MODEL_NAME_MAX = 64 };

/* Whether the first `length` bytes of `name` are a valid model name: a letter, then letters,
 * digits, '_' and '-'. */
bool conf_model_name_is_valid(const char *name, size_t length);

/* Appends a model; `name` and `path` are copied. `precision` is NULL or a value of the option of
 * this name. ERR_CONFIG: a bad or duplicate name, an empty path, an unknown precision, a second
 * default. */
int conf_models_add(struct conf *conf, const char *name, const char *path, const char *precision,
                    bool is_default, struct error *err);

/* Appends "NAME=DIR", or "DIR" named after its last component. */
int conf_models_add_text(struct conf *conf, const char *text, struct error *err);

void conf_models_clear(struct conf *conf);

/* Adds the installed model if there is none, makes the first model the default if none is, and
 * gives the option `precision` to models without their own. */
int conf_models_complete(struct conf *conf, struct error *err);

#endif
